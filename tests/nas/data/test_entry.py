"""``data.entry``: a function of the user's own runs if its package was allowed, and what it returns is checked."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

from nas.cli import app
from nas.data import DATASETS, Request
from nas.data.tasks import Classification, NextToken, SuperResolution
from nas.experiment import load
from nas.plugins import NotAllowed, function
from nas.run import Run
from nas.stages.train import dataset_of
from spaces.yaml import SpecError
from tests.nas.data.shared import check_dataset, noise, refused
from tests.nas.packages import write_package

SPACE = """\
data:
  entry: mine_of_test.loaders:squares
  options: {count: 12}
model: {family: convnet, input: [1, 4, 4], classes: 3, stages: [{}]}
"""
CODE = """\
import numpy as np

calls = []


def squares(options):
    calls.append(options)
    rng = np.random.default_rng(0)
    count = options["count"]
    parts = ("train", "validation", "test")
    return {p: (rng.normal(size=(count, 1, 4, 4)), np.arange(count) % 3) for p in parts}


LOADED = True
"""


@pytest.fixture
def space(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A file that names a function of a package beside it."""
    write_package(tmp_path / "code", monkeypatch, "mine_of_test", "loaders", CODE)
    (tmp_path / "space.yaml").write_text(SPACE)
    return tmp_path / "space.yaml"


# --- What is allowed --------------------------------------------------------------------------------------------------


def test_an_allowed_function_is_called_with_its_options(space: Path) -> None:
    """And gives a dataset like any other."""
    asked = load(space, ["mine_of_test"])
    dataset = check_dataset(lambda: dataset_of(asked, 0)[0])
    assert (dataset.name, dataset.shape, len(dataset.test)) == ("mine_of_test.loaders:squares", (1, 4, 4), 12)
    assert isinstance(dataset.task, Classification)
    assert function("mine_of_test.loaders:squares", ["mine_of_test"]).__globals__["calls"][-1] == {"count": 12}
    assert asked.to_json()["data"]["options"]["options"] == {"count": 12}


def test_without_the_package_allowed_nothing_is_imported(space: Path, tmp_path: Path) -> None:
    """Place, package, and what to add; looking at a file needs no permission."""
    runs = str(tmp_path / "runs")
    code = f"{space}:2:10: 'mine_of_test.loaders:squares' is code of the package 'mine_of_test'; "
    end = " [plugin-needed]\n  hint: add --plugin mine_of_test\n1 problem; nothing was written\n"
    done = CliRunner().invoke(app, ["search", str(space), "--runs", runs])
    assert (done.exit_code, done.stderr) == (2, f"{code}no package is allowed{end}")
    done = CliRunner().invoke(app, ["search", str(space), "--runs", runs, "--plugin", "mine", "--plugin", "my"])
    assert (done.exit_code, done.stderr) == (2, f"{code}allowed: mine, my{end}")
    assert not (tmp_path / "runs").exists()
    assert CliRunner().invoke(app, ["space", "check", str(space)]).exit_code == 0
    asked = load(space)  # as for looking at it
    with refused("space.data.entry: " + code.partition(": ")[2] + "no package is allowed" + end.partition("\n1 ")[0]):
        dataset_of(asked, 0)


def test_a_run_needs_the_permission_again(space: Path, tmp_path: Path) -> None:
    """What is written in a folder allows nothing: it may come from elsewhere."""
    run = Run.create(tmp_path / "runs", load(space, ["mine_of_test"]), {"seed": 0})
    assert run.start["plugins"] == ["mine_of_test"]
    with pytest.raises(SpecError, match="hint: add --plugin mine_of_test"):
        Run.open(tmp_path / "runs", run.name).experiment()
    again = Run.open(tmp_path / "runs", run.name, ["mine_of_test"]).experiment()
    assert again.plugins == ("mine_of_test",)


PLUGIN = "add --plugin os"
SYNTAX = "write package.module:function"
INSTALL = "install the package, or put its folder into PYTHONPATH"
MISSING = "module 'mine_of_test.loaders' has no function '{}' [missing-function]"


@pytest.mark.parametrize(
    ("entry", "message", "hint"),
    [
        ("os:system", "'os:system' is code of the package 'os'; allowed: mine_of_test [plugin-needed]", PLUGIN),
        ("mine_of_test", "'mine_of_test' does not name a function [syntax]", SYNTAX),
        ("mine_of_test.a:b.c", "'mine_of_test.a:b.c' does not name a function [syntax]", SYNTAX),
        ("mine_of_test.a:f", "no module 'mine_of_test.a' for 'mine_of_test.a:f' [missing-module]", INSTALL),
        ("mine_of_test.loaders:square", MISSING.format("square"), "functions in it: squares"),
        ("mine_of_test.loaders:LOADED", MISSING.format("LOADED"), "functions in it: squares"),
    ],
)  # fmt: skip
@pytest.mark.usefixtures("space")
def test_an_entry_that_names_no_function_is_refused(entry: str, message: str, hint: str) -> None:
    """To the letter."""
    with pytest.raises(NotAllowed, match=rf"\A{re.escape(message)}\n  hint: {re.escape(hint)}\Z"):
        function(entry, ["mine_of_test"])


def test_an_error_in_their_module_is_theirs(space: Path) -> None:
    """A package that is not there for them is not an entry that is not there."""
    (space.parent / "code" / "mine_of_test" / "broken.py").write_text("import no_such_package_at_all")
    with pytest.raises(ModuleNotFoundError, match="No module named 'no_such_package_at_all'"):
        function("mine_of_test.broken:f", ["mine_of_test"])


# --- What it returns --------------------------------------------------------------------------------------------------

ENTRY = "mine_of_test.here:f"


def returning(monkeypatch: pytest.MonkeyPatch, value: Any, **asked: Any) -> Callable[[], Any]:
    """Loading a dataset from a function that returns this."""
    monkeypatch.setattr("nas.data.entry.function", lambda entry, plugins: lambda options: value)
    request = Request(**{"shape": (1, 4, 4), "classes": 3, "options": {"entry": ENTRY, "options": {}}, **asked})
    return lambda: DATASETS["entry"](request)


def three(x: Any, y: Any) -> dict[str, Any]:
    """The same in each part."""
    return dict.fromkeys(("train", "validation", "test"), (x, y))


SIZE = "expected (n, 1, 4, 4) as the network reads [wrong-shape]"
X, Y = noise(6, 1, 4, 4), np.arange(6) % 3


def test_bytes_are_standardised_and_floats_stay(monkeypatch: pytest.MonkeyPatch) -> None:
    """By the training part; torch tensors are as good as arrays."""
    parts = {"train": (X, Y), "validation": (X[:2], Y[:2]), "test": (torch.from_numpy(X[:3]), torch.from_numpy(Y[:3]))}
    dataset = check_dataset(returning(monkeypatch, parts))
    assert float(dataset.train.images.mean()) == pytest.approx(0, abs=1e-5)
    assert dataset.about.keys() == {"mean", "deviation"}
    floats = torch.from_numpy(X).to(torch.bfloat16)
    dataset = returning(monkeypatch, three(floats, Y.astype(np.uint8)))()
    assert torch.equal(dataset.train.images, floats.float())
    assert dataset.train.labels.dtype == torch.int64


def test_tokens_and_pictures(monkeypatch: pytest.MonkeyPatch) -> None:
    """For networks that read the one or make the other."""
    tokens = noise(4, 8) % 3
    dataset = check_dataset(returning(monkeypatch, three(tokens, tokens), shape=(1, 8, 1), reads="tokens"))
    assert isinstance(dataset.task, NextToken)
    small, large = np.random.default_rng(0).random((4, 3, 5, 5)), np.random.default_rng(0).random((4, 3, 10, 10))
    asked = {"shape": (3, 5, 5), "classes": 3, "reads": "pictures", "scale": 2}
    dataset = check_dataset(returning(monkeypatch, three(small, large), **asked))
    assert dataset.task == SuperResolution(2)
    with refused(f"data entry {ENTRY}: y of train: shape (4, 3, 5, 5), expected (4, 3, 10, 10) [wrong-shape]"):
        returning(monkeypatch, three(small, small), **asked)()
    with refused(f"data entry {ENTRY}: x of train: values from 0 to inf, expected 0 to 1 [wrong-value]"):
        returning(monkeypatch, three(np.where(small > 0.5, np.inf, 0), large), **asked)()
    with refused(f"data entry {ENTRY}: x of train: an array of uint8, expected floats from 0 to 1 [wrong-type]"):
        returning(monkeypatch, three(noise(4, 3, 5, 5), large), **asked)()


@pytest.mark.parametrize(
    ("value", "what"),
    [
        (None, ": it returned NoneType, expected a mapping with train, validation, test [wrong-type]"),
        ({"train": 1}, ": it returned keys train, expected a mapping with train, validation, test [wrong-type]"),
        (dict.fromkeys(["train", "validation", "test"], X), ": train: a ndarray, expected a pair (x, y) [wrong-type]"),
        (three(X.tolist(), Y), ": x of train: a list, expected a NumPy array or a torch tensor [wrong-type]"),
        (three(X.astype("S"), Y), ": x of train: an array of |S3, expected whole numbers or floats [wrong-type]"),
        (three(X[:, 0], Y), f": x of train: shape (6, 4, 4), {SIZE}"),
        (three(X[:0], Y[:0]), f": x of train: shape (0, 1, 4, 4), {SIZE}"),
        (three(X.astype(int), Y), ": x of train: an array of int64, expected floats or uint8 [wrong-type]"),
        (three(X * np.float32("nan"), Y), ": x of train: values that are not finite [wrong-value]"),
        (three(X, Y[:5]), ": y of train: shape (5,), expected (6,) [wrong-shape]"),
        (three(X, Y * 0.5), ": y of train: an array of float64, expected whole numbers [wrong-type]"),
        (three(X, Y + 1), ": y of train: numbers from 1 to 3, expected 0 to 2 [wrong-value]"),
    ],
    ids=["nothing", "parts", "pair", "list", "bytes", "shape", "empty", "integers", "nan", "fewer", "halves", "class"],
)  # fmt: skip
def test_what_is_wrong_with_what_it_returned(monkeypatch: pytest.MonkeyPatch, value: Any, what: str) -> None:
    """The part, the array, what was found, what was expected."""
    with refused(f"data entry {ENTRY}{what}"):
        returning(monkeypatch, value)()


# --- In the file ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        ("{entry: 3}", "1:15: 'space.data.entry' must be text, not number 3 [wrong-type]"),
        ("{entry: a:b, dataset: digits}", "1:15: data has a dataset or an entry, not both [ambiguous]"),
        (
            "{entry: a:b, optoins: {}}",
            "1:20: unknown key 'space.data.optoins' [unknown-key]\n  hint: did you mean 'options'?",
        ),
        ("{entry: a:b, options: 3}", "1:29: 'space.data.options' must be a mapping, not number 3 [wrong-type]"),
        ("{entry: a.b}", "1:15: 'a.b' does not name a function [syntax]\n  hint: write package.module:function"),
    ],
)  # fmt: skip
def test_the_section_is_checked(tmp_path: Path, data: str, problem: str) -> None:
    """With its place."""
    source = tmp_path / "space.yaml"
    source.write_text(f"data: {data}\nmodel: {{family: convnet, input: [1, 8, 8], classes: 10, stages: [{{}}]}}\n")
    message = re.escape(f"{source}:{problem}")
    with pytest.raises(SpecError, match=rf"\A{message}"):
        load(source, ["a"])
