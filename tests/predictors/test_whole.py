"""The latency model of whole networks: what it counts, and that it finds what times were made of."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest

from predictors.latency import Table, TableError, Target, Timing, WholeModel, fit_whole, networks_to_time
from predictors.latency.backends.onnxruntime import OnnxRuntime
from predictors.latency.plan import ANCHORS, SESSIONS, tasks
from predictors.metrics import mape, tau
from spaces import Architecture, Space
from spaces.randomness import generator
from tests.examples import space_of
from tests.predictors.networks import NO_CHOICE, RESIDUAL, conv, head, network

MENU = Target().menu


@cache
def residual() -> Space:
    return space_of(RESIDUAL)


def table_of(times: dict[Architecture, float]) -> Table:
    """One of whole networks alone."""
    return Table({}, 0.0, {}, {a.to_json(): Timing(ms, ms, 0.0, 15) for a, ms in times.items()})


@cache
def drawn() -> tuple[list[Architecture], list[Architecture]]:
    """(networks to fit, unseen ones)."""
    fitted = networks_to_time(residual(), 0, 36, 18)
    return fitted, [a for a in residual().sample_many(60, generator(9, "test.unseen")) if a not in set(fitted)]


def made(factors: dict[str, float]) -> tuple[Table, WholeModel]:
    """(a table of times that these factors make, the model that makes them)."""
    fitted, unseen = drawn()
    truth = WholeModel(residual(), table_of({}), MENU, 1, np.array(list(factors.values())), 0.0, columns=tuple(factors))
    everyone = [*fitted, *unseen]
    return table_of(dict(zip(everyone, truth.predict(everyone)[0].tolist(), strict=True))), truth


FACTORS = {
    "conv of 9 taps f32, us per million multiplications": 20.0,
    "conv of 9 taps u8, us per million multiplications": 6.0,
    "conv of 9 taps u8, us each": 0.7,
    "quantize, us per thousand values": 0.1,
    "dequantize, us each": 2.0,
    "call, us": 9.0,
}


def test_amounts_are_counted_by_hand() -> None:
    """Multiplications of whole blocks of sixteen output channels, values in and out, layers."""
    space = network(conv("a", "input", 4, "float"), *head("a", "float"))
    names = [
        "conv of 9 taps f32, us per million multiplications",
        "conv of 9 taps f32, us per thousand values",
        "conv of 9 taps f32, us each",
        "all, us each",
        "call, us",
    ]
    counted = []
    for name in names:
        one = WholeModel(space, table_of({}), MENU, 2, np.array([1.0]), 0.0, columns=(name,))
        counted.append(float(one.predict([NO_CHOICE])[0][0]))
    assert counted == pytest.approx([2 * 9 * 1 * 16 * 64 / 1e6 / 1e3, 2 * (64 + 4 * 64) / 1e3 / 1e3, 1e-3, 3e-3, 1e-3])


def test_times_made_of_amounts_are_found_again() -> None:
    """Of unseen networks too; the pull to nothing costs next to nothing."""
    table, _ = made(FACTORS)
    fitted, unseen = drawn()
    model = fit_whole(residual(), table, MENU, 1, fitted)
    measured = np.array([table.networks[a.to_json()].ms for a in unseen])
    mean, std = model.predict(unseen)
    assert mape(mean, measured) < 1
    assert tau(mean, measured) > 0.98
    assert model.error < 0.02
    assert std == pytest.approx(mean * model.error)
    assert np.all(model.factors >= 0)
    said = model.to_json()
    assert said == {"factors": dict(zip(model.columns, model.factors.tolist(), strict=True)), "error": model.error}


def test_the_error_is_that_of_leaving_each_network_out() -> None:
    """Noise that no amount explains stays in it."""
    table, _ = made(FACTORS)
    fitted, _ = drawn()
    rng = generator(3, "test.noise")
    noisy = table_of({a: table.networks[a.to_json()].ms * rng.uniform(0.9, 1.1) for a in fitted})
    model = fit_whole(residual(), noisy, MENU, 1, fitted)
    assert 0.03 < model.error < 0.12
    few = fitted[:9]
    errors = []
    for i, left_out in enumerate(few):
        others = fit_whole(residual(), noisy, MENU, 1, [*few[:i], *few[i + 1 :]])
        errors.append(others.predict([left_out])[0][0] / noisy.networks[left_out.to_json()].ms - 1)
    assert fit_whole(residual(), noisy, MENU, 1, few).error == pytest.approx(
        np.sqrt(np.mean(np.square(errors))), rel=0.2
    )


def test_what_no_fitted_network_has_still_takes_time() -> None:
    """Fitted on float networks alone, an integer one of more layers takes longer than one of fewer."""
    table, _ = made(FACTORS)
    floats = [a for a in drawn()[0] if {a[c] for c in a if c.endswith("precision")} == {"float"}]
    model = fit_whole(residual(), table, MENU, 1, floats)
    small, large = model.predict([residual().extreme(min, "w8a8"), residual().extreme(max, "w8a8")])[0]
    assert 0 < small < large


def test_a_relaxation_has_no_expected_latency_without_rows() -> None:
    """It says so, instead of naming a row that is absent."""
    message = "the expected latency of a relaxation needs a table of layers; this backend times whole networks only"
    with pytest.raises(TableError, match=rf"\A{message} \[no-table\]\n  hint: use backend onnxruntime\Z"):
        made(FACTORS)[1].expected({})


def test_a_backend_whose_layers_say_nothing_of_networks_times_networks_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """All of them, the largest first, some in sessions of their own besides."""
    monkeypatch.setattr(OnnxRuntime, "ADDITIVE", False)
    networks = drawn()[0]
    todo = tasks(residual(), Target(), networks)
    assert {task.network for task in todo} == set(networks)
    assert todo[0].network == networks[0]
    assert sum(task.session for task in todo) == ANCHORS * SESSIONS
    assert len(todo) == len(networks) + ANCHORS * SESSIONS
