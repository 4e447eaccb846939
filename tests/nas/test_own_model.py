"""``model.entry``: a model of the user's own is traced if its package was allowed, and is data from then on."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path

import jsonschema
import pytest
import torch
import yaml
from safetensors.torch import load as tensors
from typer.testing import CliRunner

from nas.cli import app
from nas.experiment import load, schema
from nas.own_model import OUTLINE, WEIGHTS, load_space
from nas.run import Run
from nas.stages.train import entry_of
from nas.store import Store
from spaces import from_text, stored
from spaces.yaml import SpecError
from supernets import build
from tests.nas.packages import write_package

SPACE = """\
name: own
model:
  entry: own_of_test.models:small
  options: {channels: 8}
  width: [0.5, 1]
precision: {choice: [float, w8a8]}
"""
CODE = """\
import torch
from torch import nn

calls = []


def small(options):
    calls.append(options)
    c = options["channels"]
    conv, head = nn.Conv2d(1, c, 3, padding=1), nn.Linear(64 * c, 10)
    body = nn.Sequential(conv, nn.BatchNorm2d(c), nn.ReLU(), nn.Flatten(), head)
    return body, torch.randn(1, 1, 8, 8)


def branching(options):
    class Odd(nn.Module):
        def forward(self, x):
            return x if x.sum() > 0 else -x

    return nn.Sequential(nn.Conv2d(1, 2, 1), Odd()), torch.randn(1, 1, 8, 8)


def sorting(options):
    class Odd(nn.Module):
        def forward(self, x):
            return x * x.argsort(1)

    return nn.Sequential(nn.Conv2d(1, 2, 1), Odd(), nn.Flatten(), nn.Linear(128, 10)), torch.randn(1, 1, 8, 8)


def alone(options):
    return nn.Linear(2, 2)
"""


@pytest.fixture
def space(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A file that names a function of a package beside it."""
    write_package(tmp_path / "code", monkeypatch, "own_of_test", "models", CODE)
    (tmp_path / "space.yaml").write_text(SPACE)
    return tmp_path / "space.yaml"


def test_an_allowed_function_makes_the_model(space: Path) -> None:
    """Called with its options; its choices are those of the file."""
    asked = load(space, ["own_of_test"])
    assert sys.modules["own_of_test.models"].calls == [{"channels": 8}]
    assert {c.name: c.values for c in asked.space.choices} == {
        "0.width": (4, 8), "0.precision": ("float", "w8a8"), "4.precision": ("float", "w8a8"),
    }  # fmt: skip
    assert (asked.space.outline.input_shape, asked.space.outline.classes) == ((1, 8, 8), 10)
    assert load_space(space, ["own_of_test"]).digest == asked.space.digest


def test_weights_that_the_function_draws_are_the_same_in_every_run(space: Path) -> None:
    """Whatever was drawn before, and torch's own numbers go on as if nothing had been: the store knows the model."""
    torch.manual_seed(1)
    first = load(space, ["own_of_test"]).own
    drawn = torch.rand(())
    torch.manual_seed(1)
    assert torch.equal(torch.rand(()), drawn)
    second = load(space, ["own_of_test"]).own
    assert first is not None
    assert second is not None
    assert first.weights == second.weights


def test_a_run_keeps_outline_and_weights_and_needs_no_code(space: Path, tmp_path: Path) -> None:
    """The same space and digests, and the user's weights to start from, with no package allowed."""
    asked = load(space, ["own_of_test"])
    run = Run.create(tmp_path / "runs", asked, {"seed": 0})
    assert {OUTLINE, WEIGHTS} <= {path.name for path in run.folder.iterdir()}
    again = Run.open(tmp_path / "runs", run.name).experiment()
    assert again.space.digest == asked.space.digest
    store = Store(tmp_path / "store")
    assert entry_of(again, 0, store, "x").digest == entry_of(asked, 0, store, "x").digest
    assert asked.own is not None
    assert again.own is not None
    assert again.own.weights == asked.own.weights
    assert again.own.weights is not None
    net = build(again.space)
    net.load_state_dict(tensors(again.own.weights))
    torch.manual_seed(0)
    module, _ = sys.modules["own_of_test.models"].small({"channels": 8})
    x = torch.randn(3, 1, 8, 8)
    with torch.no_grad(), net.eval().active(net.space.largest, net.calibration):
        assert torch.equal(net(x), module.eval()(x))


END = re.escape("\n1 problem; nothing was written")
REFUSED = [
    (
        [],
        "small",
        "'own_of_test.models:small' is code of the package 'own_of_test'; no package is allowed [plugin-needed]\n"
        "  hint: add --plugin own_of_test",
    ),
    (
        ["own_of_test"],
        "large",
        "module 'own_of_test.models' has no function 'large' [missing-function]\n"
        "  hint: functions in it: alone, branching, small, sorting",
    ),
    (
        ["own_of_test"],
        "branching",
        "1: which way it goes depends on the values that it computes [control-flow]\n"
        "  hint: use torch.where, or wrap the part without the condition",
    ),
    (
        ["own_of_test"],
        "alone",
        "'own_of_test.models:alone' must return (module, example_input), not Linear [wrong-type]",
    ),
]


@pytest.mark.parametrize(("plugins", "function", "said"), REFUSED)
def test_what_cannot_be_had_is_said_at_its_place(space: Path, plugins: list[str], function: str, said: str) -> None:
    """Line and column of ``entry``."""
    space.write_text(SPACE.replace("models:small", f"models:{function}"))
    with pytest.raises(SpecError, match=f"^{re.escape(f'{space}:3:10: {said}')}{END}$"):
        load(space, plugins)


def test_without_a_command_line_no_code_is_run(space: Path) -> None:
    """A file read by the room of spaces alone."""
    said = (
        "own.yaml:3:10: a model of your own is traced by code that is not run here [plugin-needed]\n"
        "  hint: read it with nas.experiment, or on the command line with --plugin"
    )
    with pytest.raises(SpecError, match=f"^{re.escape(said)}{END}$"):
        from_text(SPACE, "own.yaml")


def test_commands_look_at_it(space: Path) -> None:
    """Describe, count, sample and check."""
    call = CliRunner().invoke
    described = call(app, ["space", "describe", str(space), "--plugin", "own_of_test"])
    assert described.exit_code == 0, described.output
    said = "2 of 2 layers have elastic widths\n4: output: an output of the network\n"
    assert described.output.endswith(said)
    counted = call(app, ["space", "count", str(space), "--plugin", "own_of_test"])
    assert counted.output == "8\n"
    sampled = call(app, ["space", "sample", str(space), "--plugin", "own_of_test", "--json"])
    assert set(json.loads(sampled.output)[0]) == {"0.width", "0.precision", "4.precision"}
    checked = call(app, ["space", "check", str(space)])
    assert (checked.exit_code, "add --plugin own_of_test" in checked.output) == (2, True)


def test_what_cannot_be_exported_is_refused_before_anything_is_written(space: Path) -> None:
    """By the path of the module and its operation, with what to do."""
    space.write_text(SPACE.replace("models:small", "models:sorting"))
    runs = space.parent / "runs"
    searched = CliRunner().invoke(app, ["search", str(space), "--plugin", "own_of_test", "--runs", str(runs)])
    said = (
        "space own can be counted, drawn from and trained, not yet exported: 1.argsort: no ONNX form for "
        "aten.argsort.default: write it with other operations of torch, or leave it out of what is wrapped "
        "[not-exportable]\n"
    )
    assert (searched.exit_code, searched.output) == (2, said)
    assert not runs.exists()


def test_a_damaged_outline_is_named(space: Path) -> None:
    """What is missing in it, at the line that names it."""
    data = stored.to_json(load(space, ["own_of_test"]).space)
    del data["outline"]["records"][0]["kind"]
    (space.parent / OUTLINE).write_text(json.dumps(data))
    space.write_text(f"model: {{outline: {OUTLINE}}}\n")
    said = f"{space}:1:18: 0: key 'kind' is missing [wrong-outline]"
    with pytest.raises(SpecError, match=f"^{re.escape(said)}{END}$"):
        load(space)


def test_the_schema_knows_it(space: Path) -> None:
    """Its keys, and no others; every other model has a family."""
    validator = jsonschema.Draft202012Validator(schema())
    assert not list(validator.iter_errors(yaml.safe_load(SPACE)))
    assert not list(validator.iter_errors({"model": {"outline": OUTLINE, "weights": WEIGHTS}}))
    wrong = [{"model": {"entry": "a:b", "widht": [1]}}, {"model": {}}, {"model": {"entry": "a:b", "family": "vit"}}]
    assert all(list(validator.iter_errors(document)) for document in wrong)
