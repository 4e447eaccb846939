"""What every latency regressor does."""

from __future__ import annotations

from typing import Protocol, Self

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


class Regressor(Protocol):
    """Learns the latency of networks from rows of a table; the same data and generator give the same predictions."""

    @classmethod
    def fit(cls, features: Floats, ms: Floats, rng: np.random.Generator) -> Self:
        """Learn from features (n, d) and positive times ``ms`` (n,), n at least 2."""
        ...

    def predict(self, features: Floats) -> Floats:
        """Times in ms (n,) of networks with features (n, d)."""
        ...


def standard(features: Floats) -> tuple[Floats, Floats]:
    """(mean (d,), deviation (d,)) of features (n, d); 1 where a column is constant."""
    deviation = features.std(axis=0)
    return features.mean(axis=0), np.where(deviation > 0, deviation, 1.0)
