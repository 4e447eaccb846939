"""The contract of latency regressors; a new one is one more name in the registry."""

from __future__ import annotations

import numpy as np
import pytest

from predictors.latency.regressors import REGRESSORS, Lookup, Regressor
from predictors.metrics import mape, tau

RNG = np.random.default_rng(3)
X = RNG.integers(1, 7, (300, 5)).astype(float)
MS = 2 + X[:, 0] * (X[:, 1] + 0.5 * X[:, 2]) + 0.3 * X[:, 3]


@pytest.mark.parametrize("method", REGRESSORS.values(), ids=REGRESSORS)
def test_a_regressor_learns_repeats_itself_and_predicts_times(method: type[Regressor]) -> None:
    """On rows it has not seen; far better than the mean, the same for the same generator, never below zero."""
    made = [method.fit(X[:240], MS[:240], np.random.default_rng(1)) for _ in range(2)]
    first, again = (model.predict(X[240:]) for model in made)
    np.testing.assert_array_equal(first, again)
    assert first.shape == (60,)
    assert (first >= 0).all()
    assert tau(first, MS[240:]) > 0.5
    assert mape(first, MS[240:]) < 0.8 * mape(np.full(60, MS[:240].mean()), MS[240:])


@pytest.mark.parametrize("method", REGRESSORS.values(), ids=REGRESSORS)
def test_a_constant_feature_and_no_rows_to_predict_do_no_harm(method: type[Regressor]) -> None:
    """Published tables have features that never change."""
    x = np.hstack([X, np.ones((len(X), 1))])
    assert np.isfinite(method.fit(x, MS, np.random.default_rng(1)).predict(x)).all()


def test_lookup_answers_from_the_table_and_shares_the_mean_of_equal_rows() -> None:
    """And takes the nearest of what it does not have."""
    model = Lookup.fit(np.array([[0.0], [1.0], [1.0]]), np.array([1.0, 2.0, 4.0]), RNG)
    assert model.predict(np.array([[0.0], [1.0], [9.0]])).tolist() == [1.0, 3.0, 3.0]


def test_products_with_one_feature_are_found() -> None:
    """The varying regressor knows times that are linear for each value of one feature; the linear one does not."""
    seen, unseen = slice(0, 240), slice(240, None)
    errors = [
        mape(REGRESSORS[name].fit(X[seen], MS[seen], RNG).predict(X[unseen]), MS[unseen])
        for name in ("varying", "linear")
    ]
    assert errors[0] < 1 < errors[1]
