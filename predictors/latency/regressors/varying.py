"""Linear in the features, every coefficient linear in one of them: what a layer costs times how many there are.

Source: varying-coefficient models (Hastie & Tibshirani 1993), least absolute deviations by iterated weights
(Schlossmacher 1973). Errors are relative, so that the mean absolute percentage error is made small. The one feature is
that whose products lower the squared relative error most; it costs d fits, so this is for tens of numeric features.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np

from predictors.latency.regressors.base import Floats, standard

_RIDGE, _STEPS, _FLOOR = 1e-3, 20, 0.01


@dataclass(frozen=True)
class Varying:
    """``weights`` (2 d + 1,) of 1, the standardised features, and their products with feature ``by``."""

    mean: Floats
    deviation: Floats
    by: int
    weights: Floats

    @classmethod
    def fit(cls, features: Floats, ms: Floats, rng: np.random.Generator) -> Self:
        """See :class:`Regressor`; draws nothing."""
        mean, deviation = standard(features)
        x = (features - mean) / deviation
        level = float(ms.mean())
        y = ms / level

        def squared(by: int) -> float:
            columns = _columns(x, by)
            return float(np.square(columns @ _solve(columns, y, y**-2.0) / y - 1).sum())

        by = min(range(x.shape[1]), key=squared)
        columns, weights = _columns(x, by), y**-2.0
        for _ in range(_STEPS):
            found = _solve(columns, y, weights)
            weights = y**-2.0 / np.maximum(np.abs(columns @ found / y - 1), _FLOOR)
        return cls(mean, deviation, by, level * found)

    def predict(self, features: Floats) -> Floats:
        """See :class:`Regressor`; a sum below zero is 0."""
        return np.maximum(_columns((features - self.mean) / self.deviation, self.by) @ self.weights, 0.0)


def _columns(x: Floats, by: int) -> Floats:
    return np.hstack([np.ones((len(x), 1)), x, x * x[:, [by]]])


def _solve(columns: Floats, y: Floats, weights: Floats) -> Floats:
    weighted = columns * weights[:, None]
    ridge = np.full(columns.shape[1], _RIDGE * float(weights.sum()))
    ridge[0] = 0
    return np.asarray(np.linalg.solve(weighted.T @ columns + np.diag(ridge), weighted.T @ y), np.float64)
