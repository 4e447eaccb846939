"""What a backend can is found by trying, and agrees with what the rest of the code takes for granted."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

import pytest
from typer.testing import CliRunner

from nas.cli import app
from predictors.latency import capability
from predictors.latency.backends import onnxruntime as backend
from predictors.latency.capability import OPERATORS, PRECISIONS, Capability, capabilities
from predictors.latency.menu import menu_of
from predictors.latency.target import Target
from spaces import menu as menus
from spaces.menu import SCHEMA, Menu


@pytest.fixture(scope="module")
def found() -> list[Capability]:
    """Tried here and now; what is asserted does not depend on times."""
    return capabilities()


def test_every_operator_is_tried_in_every_precision(found: list[Capability]) -> None:
    """Once each, and float is what the others are compared with."""
    menu = Target().runtime.menu
    asked = [(o, p) for o in OPERATORS for p in dict.fromkeys([*PRECISIONS, *menu(o)])]
    assert [(c.operator, c.precision) for c in found] == asked
    assert {c.form for c in found} <= {"real", "container", "simulated"}
    assert all((c.form, c.speed) == ("real", 1.0) and c.error < 1e-5 for c in found if c.precision == "float")


def test_the_menu_of_the_backend_is_what_it_does(found: list[Capability]) -> None:
    """Same precisions, same form, same kernel; whatever is not on the menu is simulated."""
    for c in found:
        kernel = backend.OnnxRuntime().menu(c.operator).get(c.precision)
        if kernel is None:
            said = f"precision {c.precision} has no ONNX form, it is simulated"
            assert (c.form, c.executed_as, c.kernel, c.reason) == ("simulated", "", "", said)
        else:
            assert (c.form, c.executed_as) == (kernel.form, kernel.executed_as)
    ran = {(c.operator, c.kernel) for c in found if c.form in ("real", "container") and c.precision != "float"}
    integer = {(o, "QGemm" if o == "linear" else "QLinearConv") for o in OPERATORS}
    assert ran == integer | {("linear", "MatMulNBits")}


def test_the_menu_of_a_target_says_what_was_found(found: list[Capability]) -> None:
    """Of the operators that are tried; and a menu that was written is read as the same."""
    built_in = menu_of(Target())
    assert tuple(OPERATORS) == tuple(built_in.forms) == menus.OPERATORS
    assert all(built_in.forms[c.operator].get(c.precision, "simulated") == c.form for c in found)
    written = {"schema": SCHEMA, "device": Target().fingerprint(), "menu": [asdict(c) for c in found]}
    read = Menu.from_json(written, "menu.json")
    assert read.backend == built_in.backend
    assert {
        o: {p: f for p, f in forms.items() if f != "simulated"} for o, forms in read.forms.items()
    } == built_in.forms


def test_what_only_a_backend_has_is_tried_too() -> None:
    """torch's products of four bits, on the operator that they are meant for, as exact as rounding is."""
    target = Target("torch", floats="bf16")
    found = {(c.operator, c.precision): c for c in capabilities(target)}
    packed = found["linear", "w4-group32/float"]
    assert (packed.form, packed.executed_as) == ("real", "w4-group32/float")
    assert packed.kernel == "_weight_int4pack_mm_for_cpu"
    assert 0.02 < packed.error < 0.3
    assert ("conv 3x3", "w4-group32/float") not in found
    assert found["linear", "w8a8"].form == "simulated"
    built_in = menu_of(target)
    assert all(built_in.forms[o].get(p, "simulated") == c.form for (o, p), c in found.items())


def test_fewer_bits_are_further_from_float_but_never_further_than_rounding_explains(found: list[Capability]) -> None:
    """Errors of w8a8 below two hundredths, more at four bits, most at two."""
    for operator in OPERATORS:
        errors = {c.precision: c.error for c in found if c.operator == operator}
        assert 0 < errors["w8a8"] < 0.02 < errors["w4a8"] < errors["w2a8"]


def test_wrong_numbers_and_float_kernels_are_found_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """A kernel that computes something else, and one that is none of integers, do not count as real."""
    runtime = backend.OnnxRuntime
    evaluate = runtime.evaluate
    monkeypatch.setattr(runtime, "evaluate", staticmethod(lambda *given: 1.1 * evaluate(*given)))
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
    assert said["schema"] == SCHEMA
    assert said["device"]["backend"] == "onnxruntime"
    assert [c["precision"] for c in said["menu"][: len(PRECISIONS)]] == list(PRECISIONS)
    shown = CliRunner().invoke(app, ["devices"]).stdout
    assert "conv 3x3, w4a8" in shown
    assert "runs as w8a8" in shown
