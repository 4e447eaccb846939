"""The accuracy predictor: deterministic, better than nothing, and its accuracies in the order of its signal."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from predictors.accuracy import AccuracyPredictor, fit, signal
from predictors.accuracy.gaussian_process import features, groups
from predictors.accuracy.grouped import GroupedRBF
from predictors.metrics import tau
from spaces import Batch, Space
from spaces.randomness import generator
from tests.examples import space_of
from tests.predictors.networks import RESIDUAL

Floats = NDArray[np.float64]


@cache
def residual() -> Space:
    return space_of(RESIDUAL)


def truth(batch: Batch) -> tuple[Floats, Floats]:
    """(log-likelihood, accuracy in percent) of a made-up world: larger is better, and so is a float classifier."""
    macs = residual().cost(batch)["macs"].astype(np.float64)
    sharp = np.array([a["classifier.precision"] == "float" for a in batch])
    loss = np.exp(-0.6 * np.log(macs / 1e4)) * np.where(sharp, 0.8, 1.0)
    return -loss, 100 * np.exp(-loss)


def drawn(n: int, seed: int) -> Batch:
    return residual().sample_many(n, generator(seed, "test.accuracy"), by_choice=True)


@cache
def fitted() -> AccuracyPredictor:
    learned = drawn(80, 0)
    return fit(residual(), learned, *truth(learned))


def test_held_out_networks_are_ranked() -> None:
    """A constant has a tau of 0; what is learned is worth something on networks that the fit did not see."""
    held = drawn(60, 1)
    mean, std = fitted().predict(held)
    assert tau(mean, signal(truth(held)[0])) > 0.8
    assert std.shape == mean.shape
    assert (std > 0).all()


def test_the_same_subnets_give_the_same_predictor() -> None:
    """Bit for bit: a search is replayed on it."""
    learned = drawn(80, 0)
    again = fit(residual(), learned, *truth(learned))
    for mine, other in zip(fitted().predict(drawn(50, 2)), again.predict(drawn(50, 2)), strict=True):
        assert np.array_equal(mine, other)


def test_a_list_and_a_batch_of_networks_are_the_same() -> None:
    """Either form, the same numbers."""
    held = drawn(10, 3)
    assert np.array_equal(fitted().predict(held)[0], fitted().predict(list(held))[0])


@given(st.lists(st.floats(-50, 50), min_size=2, max_size=30))
def test_accuracy_never_falls_with_the_signal(signals: list[float]) -> None:
    """Monotone, and within what was seen."""
    ordered = np.sort(np.array(signals))
    accuracy = fitted().accuracy(ordered)
    assert (np.diff(accuracy) >= 0).all()
    seen = truth(drawn(80, 0))[1]
    assert (accuracy >= seen.min() - 1e-9).all()
    assert (accuracy <= seen.max() + 1e-9).all()


def test_accuracy_is_near_the_one_that_such_subnets_had() -> None:
    """Percent: read off the curve of evaluated subnets."""
    held = drawn(60, 4)
    likelihood, accuracy = truth(held)
    assert np.abs(fitted().accuracy(signal(likelihood)) - accuracy).mean() < 1.0


def test_subnets_of_equal_accuracy_can_be_fitted() -> None:
    """A supernet that learned nothing gives a flat curve, not an error."""
    learned = drawn(20, 5)
    flat = fit(residual(), learned, np.full(20, -2.3), np.full(20, 10.0))
    mean, _ = flat.predict(drawn(5, 6))
    assert np.isfinite(mean).all()
    assert flat.accuracy(mean) == pytest.approx(np.full(5, 10.0))


def test_the_signal_is_minus_the_logarithm_of_the_loss() -> None:
    """A perfect likelihood is finite too."""
    assert signal(np.array([-1.0, -np.e])) == pytest.approx([0.0, -1.0])
    assert np.isfinite(signal(np.array([0.0]))).all()


def test_features_are_the_encoding_and_the_logarithms_of_costs() -> None:
    """(n, d): one row per network, three costs after the columns of the space."""
    held = drawn(7, 7)
    x = features(residual(), held)
    assert x.shape == (7, len(residual().feature_names) + 3)
    assert np.array_equal(x[:, :-3], residual().encode(held).astype(np.float64))
    assert x[:, -3] == pytest.approx(np.log1p(residual().cost(held)["macs"]))


def test_features_are_grouped_by_the_kind_of_their_choice() -> None:
    """Wherever a width is chosen, it is of one group; presence goes with its choice, costs by themselves."""
    found: dict[str, set[int]] = {}
    for name, number in zip([*residual().feature_names, *["costs"] * 3], groups(residual()), strict=True):
        found.setdefault(name.split("=")[0].split(" ")[0].split(".")[-1], set()).add(int(number))
    assert {kind: len(numbers) for kind, numbers in found.items()} == dict.fromkeys(found, 1)
    assert len(found) == len(set().union(*found.values())) >= 4


@given(st.integers(0, 1 << 16))
def test_the_gradient_of_the_kernel_is_that_of_its_length_scales(seed: int) -> None:
    rng = np.random.default_rng(seed)
    numbers, x = np.array([0, 1, 1, 2, 0]), rng.normal(size=(4, 5))
    scales = rng.uniform(0.5, 3, 3)
    similar, gradient = GroupedRBF(numbers, scales)(x, eval_gradient=True)
    np.testing.assert_array_equal(similar, GroupedRBF(numbers, scales)(x))
    np.testing.assert_allclose(similar, GroupedRBF(numbers, scales)(x, x))
    for group in range(3):
        moved = [scales * np.exp(sign * 1e-5 * (np.arange(3) == group)) for sign in (1, -1)]
        up, down = (GroupedRBF(numbers, s)(x) for s in moved)
        np.testing.assert_allclose(gradient[..., group], (up - down) / 2e-5, atol=1e-8)


def test_it_learns_which_kinds_of_choices_matter() -> None:
    """What depends on the widths alone gets a shorter length scale for widths than for precisions."""
    learned = drawn(80, 3)
    widths = np.array([sum(int(v) for k, v in a.items() if k.endswith("width")) for a in learned], float)
    process = fit(residual(), learned, -1 / widths, widths).process
    scales = process.kernel_.k1.k2.length_scale
    by_name = dict(zip(residual().feature_names, groups(residual()), strict=False))
    wide, precise = (
        next(number for name, number in by_name.items() if kind in name) for kind in (".width", ".precision")
    )
    assert scales[wide] < scales[precise]


def test_one_group_is_enough() -> None:
    """A space without choices has costs alone."""
    x = np.array([[0.0], [1.0]])
    kernel = GroupedRBF(np.array([0]), np.array([1.0]))
    again = kernel.clone_with_theta(kernel.theta)
    np.testing.assert_allclose(again(x), [[1, np.exp(-0.5)], [np.exp(-0.5), 1]])
    assert again(x, eval_gradient=True)[1].shape == (2, 2, 1)
