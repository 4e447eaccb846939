"""Gradient-boosted trees (Friedman 2001, algorithm 5) on log latency, which makes errors relative."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Self

import numpy as np

from predictors.latency.regressors.base import Floats

_TREES = 300


@dataclass(frozen=True)
class Trees:
    """See :meth:`fit`."""

    model: Any

    @classmethod
    def fit(cls, features: Floats, ms: Floats, rng: np.random.Generator) -> Self:
        """See :class:`Regressor`."""
        from sklearn.ensemble import HistGradientBoostingRegressor

        leaf = min(20, max(1, len(ms) // 10))
        model = HistGradientBoostingRegressor(
            max_iter=_TREES, learning_rate=0.06, early_stopping=False, min_samples_leaf=leaf,
            random_state=int(rng.integers(2**31)),
        )  # fmt: skip
        return cls(model.fit(features, np.log(ms)))

    def predict(self, features: Floats) -> Floats:
        """See :class:`Regressor`."""
        return np.asarray(np.exp(self.model.predict(features)), np.float64)
