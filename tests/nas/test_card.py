"""The card of an exported network: what it says of measuring, and that its program gives the reported accuracy."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nas import verify
from nas.report import card
from nas.report.programs import PLAIN_CALL_MS, PROGRAMS, program
from predictors.latency import Target
from predictors.latency.backends import BACKENDS, NoBackend
from predictors.latency.called_probe import random_network
from spaces.randomness import generator
from tests.examples import space_of
from tests.nas.results import example, unverified
from tests.nas.tiny import Finished
from tests.predictors.networks import CHAIN

MEASURED = """\
## How latency is measured

Device: backend onnxruntime, threads 1, batch 1.

The time of one call on one thread with one image, inputs and outputs bound once (ONNX Runtime I/O binding, nothing is \
copied): the 20 % quantile of blocks of 1 ms, by the calling thread's processor time where one thread computes, in \
three fresh sessions at a time, networks taking turns. Times are scaled to the pace that the machine had \
when its latency table was measured, by networks of that table timed beside them. The \
upper bound is the slowest of three sessions, the second slowest of six, and 2.1 % more.

A plain `session.run` from Python adds about 0.003 ms of its own, and can so exceed a tight budget.
"""


def about() -> dict[str, Any]:
    """A finished run, as :mod:`tests.nas.results` has it, with what its networks are fed."""
    interface = {
        "input_shape": [1, 1, 8, 8], "input_type": "float32", "mean": 4.875, "deviation": 6.0, "low": 0, "high": 16,
        "classes": ["zero", "one"],
    }  # fmt: skip
    device = {"backend": "onnxruntime", "threads": 1, "batch": 1}
    return {**example(), "guard": 1.021, "device": device, "interface": interface}


def test_it_says_how_latency_is_measured() -> None:
    """To the letter, and as :mod:`nas.verify` does it."""
    result = about()
    assert MEASURED in card(result["finalists"][0], result)
    assert (verify.SESSIONS, PLAIN_CALL_MS) == (3, 0.003)
    said = card(result["finalists"][0], result | {"device": {"backend": "onnxruntime", "threads": 2, "batch": 8}})
    assert "one call on 2 threads with 8 images" in said
    assert "intra_op_num_threads = 2" in said


def test_it_says_what_the_network_is_fed_and_answers() -> None:
    """Shape, range, standardisation, classes; of what is not known nothing."""
    result = about()
    assert (
        "Input `input`: float32 (1, 1, 8, 8), from 0 to 16, minus 4.875, over 6. The largest output of an image says "
        "its class; in order: zero, one. The file's metadata holds all of this.\n"
    ) in card(result["finalists"][0], result)
    result["interface"] = {"input_shape": [1, 16], "input_type": "int64", "tokens": "bytes"}
    said = card(result["finalists"][0], result)
    assert ("Input `input`: int64 (1, 16). tokens: bytes. The file's metadata holds all of this.\n") in said
    assert 'outputs = session.run(None, {"input": values})[0]\n' in said


def test_what_was_not_measured_is_not_said_to_be() -> None:
    """A table answered."""
    result = unverified(about())
    said = card(result["finalists"][0], result)
    assert "| latency measured, upper bound | not measured |" in said
    assert "Not measured for this card: not verified here: latencies are answered from recorded measurements." in said


@pytest.mark.parametrize(("place", "role"), [(0, "chosen"), (1, "finalist")])
def test_it_says_what_the_network_is_in_its_run(place: int, role: str) -> None:
    """Chosen, a finalist, or a baseline by its name."""
    result = about()
    row = result["finalists"][place]
    assert card(row, result).startswith(
        f"# Network {row['key']} ({role})\n\nFrom run digits-1 of space digits, seed 7.\n"
    )
    baseline = result["baselines"][0] | {
        "container": [],
        "simulated": [],
        "agreement": {"value": 1.0, "said": "100.00 % of the predictions are the same, at least 99.5 %"},
    }
    assert card(baseline, result).startswith("# Network cccc (largest float)\n")


def test_its_program_gives_the_reported_accuracy(finished: Finished, monkeypatch: pytest.MonkeyPatch) -> None:
    """In the folder of the export, with raw test images in place of the zeros, and nothing else known."""
    from sklearn.datasets import load_digits

    result = finished.search.result()
    row = max(result["finalists"], key=lambda r: r["quality"]["exported"])
    folder = (finished.folder / row["model"]).parent
    (program,) = re.findall(r"```python\n(.*?)```", (folder / "card.md").read_text(encoding="utf-8"), re.DOTALL)
    monkeypatch.chdir(folder)
    answers: list[list[str]] = []
    names: dict[str, Any] = {"print": answers.append}
    exec(program, names)
    assert set(answers.pop()) <= set(result["interface"]["classes"])

    before, after = re.split(r"^values = .*\n", program, flags=re.MULTILINE)
    exec(before, names)
    found = load_digits()
    test = generator(0, "data.digits.split").permutation(len(found.target))[:360]
    run = compile(after, "card.md", "exec")
    for image in found.images[test].astype(np.float32):
        exec(run, names | {"values": image[None, None]})
    right = sum(answer == [str(label)] for answer, label in zip(answers, found.target[test], strict=True))
    assert 100 * right / len(test) == pytest.approx(row["quality"]["exported"])


def test_baselines_have_cards_too(finished: Finished) -> None:
    """They can be exported as well."""
    for row in finished.search.result()["baselines"]:
        assert row["key"] in Path(finished.folder / row["model"]).with_name("card.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("name", list(PROGRAMS))
def test_the_program_of_every_backend_gives_what_was_measured(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In a folder with the file and what says its inputs, of a network in 8 bits where the backend has kernels."""
    try:
        backend = Target(name).runtime
    except NoBackend as error:
        pytest.skip(str(error).splitlines()[0])
    space = space_of(CHAIN)
    layers = space.outline.layers(space.extreme(max, "w8a8" if "w8a8" in backend.MENU else "float"))
    network = random_network(layers, (), space.outline.input_shape)
    interface = {"input_shape": [1, *network.input_shape], "input_type": "float32"}
    (tmp_path / "architecture.json").write_text(json.dumps(interface))
    model = backend.exported(network, 1, {key: json.dumps(value) for key, value in interface.items()})
    (tmp_path / backend.FILE).write_bytes(model)
    monkeypatch.chdir(tmp_path)
    code = program({"backend": name, "threads": 1}, "values", "", "outputs.tolist()")
    done = subprocess.run([sys.executable, "-W", "ignore", "-c", code], capture_output=True, text=True, check=True)
    expected = backend.evaluate(model, np.zeros((1, *network.input_shape), np.float32), 1)
    assert np.array(json.loads(done.stdout)) == pytest.approx(expected, abs=1e-5)


def test_every_backend_has_a_program() -> None:
    """Another one needs a line there too."""
    assert set(PROGRAMS) == set(BACKENDS)
