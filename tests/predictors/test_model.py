"""The latency model: its factors, its error, and what it refuses."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import numpy as np
import pytest
from numpy.typing import NDArray

from predictors.latency import LatencyModel, Table, TableError, Target, Timing, fit
from predictors.latency.plan import distinct_keys, networks_to_time
from predictors.latency.sums import FEATURES, sums_of
from predictors.latency.weights import WeightFormats
from predictors.metrics import mape, tau
from spaces import Architecture, Space
from spaces.randomness import generator
from supernets.export.onnx import BLOCKS
from tests.examples import space_of
from tests.predictors.networks import NO_CHOICE, RESIDUAL, conv, head, network

Floats = NDArray[np.float64]
MENU = Target().menu
# In the order of FEATURES. The first seven are those that the fit is drawn to, the others arbitrary.
FACTORS = np.array([1.0, 1.0, 1.0, 1.0, -0.2, -0.2, -0.25, 0.8, 0.5, 1.3, 0.0, 0.0])
DEVIATES = "conv k3 s1 8x8 "


@cache
def residual() -> Space:
    return space_of(RESIDUAL)


@cache
def synthetic(
    factors: tuple[float, ...] = tuple(FACTORS), deviation: float = 0.0
) -> tuple[Table, list[Architecture], list[Architecture]]:
    """(a table with drawn rows, networks to fit, unseen ones), all timed by the model's own formula.

    ``deviation``: of 3x3 kernels of the first stage, whatever they compute with.
    """
    space, rng = residual(), generator(5, "test.table")
    keys = distinct_keys(space, Target())
    rows = {
        str(key): Timing(ms, ms, 0.0, 15) for key, ms in zip(keys, rng.uniform(0.002, 0.05, len(keys)), strict=True)
    }
    table = Table({}, 0.003, rows, {})
    fitted = networks_to_time(space, 0, 24, 12)
    unseen = [a for a in space.sample_many(40, generator(9, "test.unseen")) if a not in set(fitted)]
    sums = sums_of(space, table, MENU, 1, [*fitted, *unseen])
    times = sums.features(table.call_ms) @ np.array(factors)
    times += deviation * np.sum([ms for kind, ms in sums.kinds.items() if kind.startswith(DEVIATES)], axis=0)
    networks = {a.to_json(): Timing(t, t, 0.0, 15) for a, t in zip([*fitted, *unseen], times.tolist(), strict=True)}
    return Table({}, 0.003, rows, networks), fitted, unseen


def test_features_are_sums_of_rows_and_counts_by_hand() -> None:
    """Kernels, others, conversions, values in blocks, layers, conversions counted, the call, weights; and by kinds."""
    space = network(conv("a", "input", 4, "float"), conv("b", "a", 8, "w8a8", stride=2), *head("b", "float"))
    times = {
        "conv k3 s1 g1 1x4@8x8 b2 f32/f32>f32 relu": 0.1,
        "conv k3 s2 g1 4x8@8x8 b2 w8c/u8>u8 relu": 0.02,
        "pool k1 s1 g1 8x8@4x4 b2 f32/f32>f32 none": 0.003,
        "linear k1 s1 g1 8x10@1x1 b2 f32/f32>f32 none": 0.4,
        "quantize 4@8x8": 0.005,
        "dequantize 8@4x4": 0.0007,
    }
    table = Table({}, 0.009, {key: Timing(ms, ms, 0.0, 1) for key, ms in times.items()}, {})
    sums = sums_of(space, table, MENU, 2, [NO_CHOICE])
    (row,) = sums.features(table.call_ms)
    assert dict(zip(FEATURES, row.tolist(), strict=True)) == {
        "float kernels": pytest.approx(0.5),
        "integer kernels": pytest.approx(0.02),
        "other layers": pytest.approx(0.003),
        "conversions": pytest.approx(0.0057),
        "values read in blocks": 0.0,
        "values left in blocks": pytest.approx(-2 * 8e-6),  # the pooled ones of two examples, for the classifier
        "values added in blocks": 0.0,
        "layers": pytest.approx(4e-3),
        "conversions counted": pytest.approx(2e-3),
        "call": pytest.approx(0.009),
        "weights beyond 1 MiB": 0.0,
        "weights beyond 8 MiB": 0.0,
    }
    assert {kind: ms.tolist() for kind, ms in sums.kinds.items()} == {
        "conv k3 s1 8x8 f32>f32 relu": [0.1],
        "conv k3 s2 8x8 u8>u8 relu": [0.02],
        "pool k1 s1 4x4 f32>f32 none": [0.003],
        "linear k1 s1 1x1 f32>f32 none": [0.4],
        "quantize 8x8": [0.005],
        "dequantize 4x4": [0.0007],
    }


def test_weights_beyond_the_caches_are_counted_in_mebibytes() -> None:
    """Those of all layers, 4 bytes each in float and 1 in 8 bits, less what a cache holds."""
    space = network(conv("a", "input", 512, "float"), conv("b", "a", 512, "w8a8"), *head("b", "float"))
    rows = {str(key): Timing(0.1, 0.1, 0.0, 1) for key in distinct_keys(space, Target())}
    (row,) = sums_of(space, Table({}, 0.009, rows, {}), MENU, 1, [NO_CHOICE]).features(0.009)
    weights = 4 * 9 * 512 + 9 * 512 * 512 + 4 * 10 * 512
    assert row[-2:] == pytest.approx([weights / 2**20 - 1, 0.0])


def test_known_factors_are_found_again() -> None:
    """Timings made from the formula give its factors, no error, and the times of unseen networks."""
    table, fitted, unseen = synthetic()
    model = fit(residual(), table, MENU, 1, fitted)
    assert model.factors == pytest.approx(FACTORS, abs=2e-3)
    assert model.error < 1e-4
    mean, std = model.predict(unseen)
    assert mean == pytest.approx([table.networks[a.to_json()].ms for a in unseen], rel=1e-4)
    assert std == pytest.approx(mean * model.error)


def test_factors_far_from_one_still_predict_unseen_networks() -> None:
    """The pull to plain additivity is weak: it costs well under a percent with 49 networks."""
    table, fitted, unseen = synthetic((1.4, 0.8, 3.0, 0.6, -0.1, -0.3, 0.0, 1.5, 0.2, 2.0, 0.0, 0.0))
    model = fit(residual(), table, MENU, 1, fitted)
    measured = np.array([table.networks[a.to_json()].ms for a in unseen])
    assert mape(model.predict(unseen)[0], measured) < 1.0
    assert tau(model.predict(unseen)[0], measured) > 0.98
    assert model.error < 0.01


def test_a_kind_of_row_that_deviates_is_found() -> None:
    """Unseen networks are predicted as well as where none does."""
    table, fitted, unseen = synthetic(deviation=0.3)
    model = fit(residual(), table, MENU, 1, fitted)
    measured = np.array([table.networks[a.to_json()].ms for a in unseen])
    assert mape(model.predict(unseen)[0], measured) < 1.0
    assert mape(replace(model, deviations={}).predict(unseen)[0], measured) > 1.5
    deviating, others = set[float](), set[float]()
    for kind, deviation in model.deviations.items():
        if kind.startswith("conv"):
            factor = model.factors[int("u8>" in kind)] + deviation
            (deviating if kind.startswith(DEVIATES) else others).add(factor)
    assert max(others) < 1.1 < min(deviating)


def test_the_error_is_that_of_leaving_each_network_out() -> None:
    """Not of the networks that were fitted: each is predicted by a fit on the others."""
    table, fitted, _ = synthetic()
    rng = generator(3, "test.noise")
    noisy = {key: Timing(0.0, t.ms * rng.uniform(0.8, 1.2), 0.0, 1) for key, t in table.networks.items()}
    table, few = Table({}, table.call_ms, table.rows, noisy), fitted[:12]
    errors = []
    for i, left_out in enumerate(few):
        others = fit(residual(), table, MENU, 1, [*few[:i], *few[i + 1 :]])
        errors.append(others.predict([left_out])[0][0] / noisy[left_out.to_json()].ms - 1)
    assert fit(residual(), table, MENU, 1, few).error == pytest.approx(float(np.sqrt(np.mean(np.square(errors)))))


def test_factors_stay_within_their_bounds() -> None:
    """Times that no sane factors explain: none is negative, and blocks can only save time."""
    table, fitted, _ = synthetic()
    wrong = {
        key: Timing(0.0, t.ms * (3 if i % 2 else 0.2), 0.0, 1) for i, (key, t) in enumerate(table.networks.items())
    }
    model = fit(residual(), Table({}, table.call_ms, table.rows, wrong), MENU, 1, fitted)
    low = [*[0.5] * 4, *[-2.0] * 3, *[0] * 5]
    high = [2, 2, 6, 6, *[0] * 3, *[np.inf] * 3, 0.5, 0.5]
    assert np.all((low <= model.factors) & (model.factors <= high))
    most = np.abs(list(model.deviations.values())).max()
    assert most == pytest.approx(0.4), "so that no kind of rows takes less than nothing"
    assert model.error > 0.5


def test_three_networks_are_enough_for_sane_factors() -> None:
    """Fewer equations than factors: the pull decides, and nothing explodes."""
    table, fitted, unseen = synthetic()
    model = fit(residual(), table, MENU, 1, fitted[:3])
    measured = np.array([table.networks[a.to_json()].ms for a in unseen])
    assert mape(model.predict(unseen)[0], measured) < 25


def test_predictions_do_not_depend_on_the_batch_they_are_made_in() -> None:
    """One at a time, as a list or as a batch: the same numbers."""
    table, fitted, _ = synthetic()
    model = fit(residual(), table, MENU, 1, fitted)
    batch = residual().sample_many(30, generator(1, "test.batch"), by_choice=True)
    mean = model.predict(batch)[0]
    assert model.predict(list(batch))[0] == pytest.approx(mean, rel=1e-12)
    assert [model.predict([a])[0][0] for a in batch] == pytest.approx(mean, rel=1e-12)


def test_a_network_that_was_not_timed_cannot_be_fitted() -> None:
    """Its name in the error is its JSON."""
    table, fitted, _ = synthetic()
    stranger = next(a for a in residual().sample_many(200, generator(77, "s")) if a.to_json() not in table.networks)
    with pytest.raises(KeyError, match=r"stages\.0\.depth"):
        fit(residual(), table, MENU, 1, [*fitted, stranger])


def test_a_layer_without_a_row_is_an_error_and_not_a_guess() -> None:
    """A table of another space names the key that it lacks."""
    table, fitted, _ = synthetic()
    model = fit(residual(), table, MENU, 1, fitted)
    rows = {key: t for key, t in table.rows.items() if not key.startswith("linear")}
    short = LatencyModel(residual(), Table({}, 0.003, rows, {}), MENU, 1, model.factors, 0.0)
    with pytest.raises(TableError, match=r"no row 'linear k1 s1 g1 \d+x10@1x1 b1 \S+ none'; nearest: "):
        short.predict(fitted[:5])


def test_the_record_of_a_model_names_its_factors() -> None:
    """Plain data, in the order of FEATURES."""
    model = LatencyModel(residual(), Table({}, 0, {}, {}), MENU, 1, FACTORS, 0.02, {"quantize 8x8": 0.1})
    factors = dict(zip(FEATURES, FACTORS.tolist(), strict=True))
    assert model.to_json() == {"factors": factors, "deviations": {"quantize 8x8": 0.1}, "error": 0.02}


def test_formats_of_weights_follow_the_menu_of_the_device() -> None:
    """Four bits run on the kernel of eight; a precision without a kernel has no name."""
    names = WeightFormats(MENU).names
    assert names[:2] == ("f32", "w8c")
    assert set(names[2:]) == {f"w{bits}g{size}a8" for bits, sizes in BLOCKS.items() for size in sizes}
    assert WeightFormats({"float": "float", "w4a8": "w4a8"}).names == ("f32", "w4c")
    others = ("w8a8", "w8-e4m3/a8-e4m3", "w4-group32/float", "w4-group64/float")
    assert WeightFormats(dict(zip(others, others, strict=True))).names == ("f32", "w8c", "e4m3", "w4g32", "w4g64")
