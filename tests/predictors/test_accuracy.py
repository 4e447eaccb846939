"""The accuracy predictor: deterministic, better than nothing, and its accuracies in the order of its signal."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from predictors.accuracy import AccuracyPredictor, fit, signal
from predictors.accuracy.gaussian_process import features
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
