"""A small network of two hidden layers on log latency, as HAT (Wang et al. 2020, section 3.2) has three.

Differs: standardised features and target, weight decay, and L-BFGS instead of Adam, which on some thousand rows ends
sooner and has no learning rate to choose.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Any, Self

import numpy as np

from predictors.latency.regressors.base import Floats, standard

_HIDDEN = (64, 64)
_DECAY, _STEPS = 1.0, 300


@dataclass(frozen=True)
class Mlp:
    """See :meth:`fit`."""

    mean: Floats
    deviation: Floats
    level: float
    scale: float
    model: Any

    @classmethod
    def fit(cls, features: Floats, ms: Floats, rng: np.random.Generator) -> Self:
        """See :class:`Regressor`."""
        from sklearn.exceptions import ConvergenceWarning
        from sklearn.neural_network import MLPRegressor

        mean, deviation = standard(features)
        log = np.log(ms)
        level, scale = float(log.mean()), max(float(log.std()), 1e-9)
        model = MLPRegressor(
            hidden_layer_sizes=_HIDDEN, solver="lbfgs", alpha=_DECAY, max_iter=_STEPS,
            random_state=int(rng.integers(2**31)),
        )  # fmt: skip
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)  # the limit of steps is meant
            model.fit((features - mean) / deviation, (log - level) / scale)
        return cls(mean, deviation, level, scale, model)

    def predict(self, features: Floats) -> Floats:
        """See :class:`Regressor`."""
        found = self.model.predict((features - self.mean) / self.deviation)
        return np.asarray(np.exp(self.level + self.scale * found), np.float64)
