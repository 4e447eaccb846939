"""What a backend can is found by trying, and agrees with what the rest of the code takes for granted."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from nas.cli import app
from predictors.latency import capability
from predictors.latency.backends import onnxruntime as backend
from predictors.latency.capability import OPERATORS, PRECISIONS, Capability, capabilities


@pytest.fixture(scope="module")
def found() -> list[Capability]:
    """Tried here and now; what is asserted does not depend on times."""
    return capabilities()


def test_every_operator_is_tried_in_every_precision(found: list[Capability]) -> None:
    """Once each, and float is what the others are compared with."""
    assert [(c.operator, c.precision) for c in found] == [(o, p) for o in OPERATORS for p in PRECISIONS]
    assert {c.form for c in found} <= {"real", "container", "simulated"}
    assert all((c.form, c.speed) == ("real", 1.0) and c.error < 1e-5 for c in found if c.precision == "float")


def test_the_menu_of_the_backend_is_what_it_does(found: list[Capability]) -> None:
    """Same precisions, same form, same kernel; whatever is not on the menu is simulated."""
    for c in found:
        kernel = backend.MENU.get(c.precision)
        if kernel is None:
            said = f"precision {c.precision} has no ONNX form, it is simulated"
            assert (c.form, c.executed_as, c.kernel, c.reason) == ("simulated", "", "", said)
        else:
            assert (c.form, c.executed_as) == (kernel.form, kernel.executed_as)
    integer = {(c.operator, c.kernel) for c in found if c.form in ("real", "container") and c.precision != "float"}
    assert integer == {(o, "QGemm" if o == "linear" else "QLinearConv") for o in OPERATORS}


def test_fewer_bits_are_further_from_float_but_never_further_than_rounding_explains(found: list[Capability]) -> None:
    """Errors of w8a8 below two hundredths, more at four bits, most at two."""
    for operator in OPERATORS:
        errors = {c.precision: c.error for c in found if c.operator == operator}
        assert 0 < errors["w8a8"] < 0.02 < errors["w4a8"] < errors["w2a8"]


def test_wrong_numbers_and_float_kernels_are_found_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """A kernel that computes something else, and one that is none of integers, do not count as real."""
    evaluate = backend.evaluate
    monkeypatch.setattr(backend.OnnxRuntime, "evaluate", staticmethod(lambda *given: 1.1 * evaluate(*given)))
    for c in capabilities(precisions=["float", "w8a8"]):
        assert c.form == "simulated"
        assert "rounding explains" in c.reason
    monkeypatch.undo()
    monkeypatch.setattr(capability, "_STORES", frozenset())
    conv = next(c for c in capabilities(precisions=["float", "w8a8"]) if c.precision == "w8a8")
    assert (conv.form, conv.executed_as) == ("simulated", "float")
    assert conv.reason.startswith("runs in floats, as ")


def test_the_command_prints_and_writes_the_menu(tmp_path: Path) -> None:
    """For people, as JSON, and in a file."""
    done = CliRunner().invoke(app, ["devices", "--out", str(tmp_path / "menu.json"), "--json"])
    assert done.exit_code == 0, done.output
    said = json.loads(done.stdout)
    assert said == json.loads((tmp_path / "menu.json").read_text())
    assert said["schema"] == capability.SCHEMA
    assert said["device"]["backend"] == "onnxruntime"
    assert [c["precision"] for c in said["menu"][: len(PRECISIONS)]] == list(PRECISIONS)
    shown = CliRunner().invoke(app, ["devices"]).stdout
    assert "conv 3x3, w4a8" in shown
    assert "runs as w8a8" in shown
