"""Ridge regression on the features: a sum of what each operation costs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np

from predictors.latency.regressors.base import Floats, standard

_RIDGE = 1e-3  # of the number of rows; enough to make one-hot columns, which sum to one, solvable


@dataclass(frozen=True)
class Linear:
    """``weights`` (d,) of standardised features."""

    mean: Floats
    deviation: Floats
    weights: Floats
    level_ms: float

    @classmethod
    def fit(cls, features: Floats, ms: Floats, rng: np.random.Generator) -> Self:
        """See :class:`Regressor`; draws nothing."""
        mean, deviation = standard(features)
        x = (features - mean) / deviation
        level = float(ms.mean())
        weights = np.linalg.solve(x.T @ x + _RIDGE * len(x) * np.eye(x.shape[1]), x.T @ (ms - level))
        return cls(mean, deviation, np.asarray(weights, np.float64), level)

    def predict(self, features: Floats) -> Floats:
        """See :class:`Regressor`; a sum below zero is 0."""
        return np.maximum(self.level_ms + ((features - self.mean) / self.deviation) @ self.weights, 0.0)
