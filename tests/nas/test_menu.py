"""The device's menu of precisions in an experiment: what is read, what is refused, and what is searched."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import nas
from nas import experiment, files
from nas.inspect import NotAnArchitecture, evaluated
from nas.run import Run
from nas.terminal import Terminal
from spaces import Space
from spaces.menu import OPERATORS, SCHEMA
from spaces.restrict import NothingLeft
from spaces.yaml import SpecError
from tests.nas.tiny import TINY, asked

FOUR = TINY.replace("[float, w8a8, w4a8]", "[float, w8a8, w4a8, w3a8]")
QUICK = FOUR.replace("epochs: 3", "epochs: 1").replace("trials: 60", "trials: 12")


def written(folder: Path, **linear: str) -> Path:
    """A menu where convolutions have float, 8 bits and 4 in a container, and linear layers float and ``linear``."""
    conv = {"float": "real", "w8a8": "real", "w4a8": "container"}
    forms = {o: {"float": "real", **linear} if o == "linear" else conv for o in OPERATORS}
    rows = [{"operator": o, "precision": p, "form": form} for o, known in forms.items() for p, form in known.items()]
    path = folder / "menu.json"
    path.write_text(json.dumps({"schema": SCHEMA, "device": {"backend": "onnxruntime"}, "menu": rows}))
    return path


def precisions(space: Space, ending: str) -> tuple[Any, ...]:
    """Values of the first choice of precision whose name ends so."""
    return next(c.values for c in space.choices if c.name.endswith(f"{ending}.precision"))


def test_without_a_menu_the_backends_own_is_taken(tmp_path: Path) -> None:
    """Simulated precisions are left out unless asked for, containers unless size counts; the supernet has them all."""
    made = asked(tmp_path, FOUR)
    assert precisions(made.space, "conv") == ("float", "w8a8", "w4a8", "w3a8")
    assert precisions(made.searched, "conv") == ("float", "w8a8", "w4a8")
    fast = replace(made, search=replace(made.search, objectives=("quality", "latency_ms")))
    assert precisions(fast.searched, "conv") == ("float", "w8a8")
    assert precisions(fast.with_budget(size_bytes=3000.0).searched, "conv") == ("float", "w8a8", "w4a8")
    everything = asked(tmp_path, f"{FOUR}device: {{simulated: true}}\n")
    assert everything.searched is everything.space
    plain = asked(tmp_path)
    assert plain.searched is plain.space


def test_a_menu_of_ones_own_decides_layer_by_layer(tmp_path: Path) -> None:
    written(tmp_path, w8a8="simulated")
    made = asked(tmp_path, f"{FOUR}device: {{menu: menu.json}}\n")
    assert precisions(made.searched, "conv") == ("float", "w8a8", "w4a8")
    assert precisions(made.searched, "classifier") == ("float",)


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (
            None,
            "{folder}/menu.json: no such file or directory [missing-file]\n"
            "  hint: write it with: nas devices --out FILE",
        ),
        (
            "{}",
            "menu.json: not a 'precision menu 1', as nas devices --out writes it [wrong-menu]\n"
            "  hint: write it with: nas devices --out FILE",
        ),
        (
            "openvino",
            "menu.json: the menu of backend 'openvino', but the device's backend is 'onnxruntime' [foreign]",
        ),
    ],
)
def test_a_menu_that_cannot_be_used_is_refused_at_its_place(tmp_path: Path, content: str | None, problem: str) -> None:
    if content == "openvino":
        path = written(tmp_path)
        path.write_text(path.read_text().replace("onnxruntime", content))
    elif content is not None:
        (tmp_path / "menu.json").write_text(content)
    message = f"{tmp_path}/tiny.yaml:11:16: {problem.format(folder=tmp_path)}\n1 problem; nothing was written"
    with pytest.raises(SpecError, match=rf"\A{re.escape(message)}\Z"):
        asked(tmp_path, f"{TINY}device: {{menu: menu.json}}\n")


def test_a_layer_without_a_precision_stops_a_search_before_anything_is_written(tmp_path: Path) -> None:
    source = tmp_path / "tiny.yaml"
    source.write_text(TINY.replace("[float, w8a8, w4a8]", "[w4a8, w3a8]"))
    written(tmp_path)
    source.write_text(f"{source.read_text()}device: {{menu: menu.json}}\n")
    message = (
        "layer classifier: none of the precisions of classifier.precision is left on the menu of menu.json: "
        "w4a8 is simulated, w3a8 is simulated [no-precision]\n"
        "  hint: add a real precision (float), or one that files can hold with device: {simulated: true}"
    )
    with pytest.raises(NothingLeft, match=rf"\A{re.escape(message)}\Z"):
        nas.search(source, runs=tmp_path / "runs")
    assert not (tmp_path / "runs").exists()


def test_a_search_draws_from_the_menu_only_and_the_supernet_keeps_the_full_space(tmp_path: Path) -> None:
    """Trials of every search, baselines, finalists; and the run has its menu, wherever it is moved."""
    source = tmp_path / "tiny.yaml"
    written(tmp_path, w8a8="real")
    source.write_text(f"{QUICK}device: {{menu: menu.json}}\n")
    done = nas.search(source, runs=tmp_path / "runs")
    made, result = experiment.load(source), done.result()
    assert result["space"] == {"name": "tiny", "size": made.space.size, "searched": made.searched.size}
    assert made.searched.size < made.space.size
    drawn = {row["index"] for record in done.run.ledger.of("tell") for row in record["results"]}
    networks = [made.space.at(int(index)) for index in drawn]
    networks += [made.space.architecture(row["architecture"]) for row in [*result["finalists"], *result["baselines"]]]
    for network in networks:
        assert made.searched.architecture(network) == network
    (table,) = (tmp_path / "runs" / "store" / "profile").glob("*/table.json")
    assert not any("w3a8" in name for name in files.read_json(table)["networks"])
    (tmp_path / "menu.json").unlink()
    again = Run.open(tmp_path / "runs", "tiny-1").experiment()
    assert again.device.menu is not None
    assert again.searched.choices == made.searched.choices
    stranger = next(a for a in made.space.enumerate() if "w3a8" in a.values())
    with pytest.raises(NotAnArchitecture, match=r"^not on the menu of the device: .*: 'w3a8' is not a value"):
        evaluated(Run.open(tmp_path / "runs", "tiny-1"), stranger.to_json(), Terminal(quiet=True))
