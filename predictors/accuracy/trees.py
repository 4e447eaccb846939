"""Randomised regression trees (Geurts et al. 2006), each on a bootstrap sample of its own.

They are quick to fit, and disagree where little is known.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

TREES = 30


@dataclass(frozen=True)
class TreeEnsemble:
    """See :meth:`fit`."""

    members: tuple[Any, ...]

    @classmethod
    def fit(cls, features: NDArray[np.float32], targets: NDArray[np.float64], rng: np.random.Generator) -> TreeEnsemble:
        """Fit to features (n, d) and targets (n,)."""
        from sklearn.tree import ExtraTreeRegressor  # of the ensemble, copying parameters takes as long as fitting

        data = np.ascontiguousarray(features, np.float32)
        drawn = rng.multinomial(len(data), np.full(len(data), 1 / len(data)), TREES).astype(np.float64)
        trees = [ExtraTreeRegressor(max_features=None, random_state=seed) for seed in rng.integers(2**31, size=TREES)]
        return cls(tuple(tree.fit(data, targets, weights, False) for tree, weights in zip(trees, drawn, strict=True)))

    def votes(self, features: NDArray[np.float32]) -> NDArray[np.float64]:
        """What each member predicts (members, n)."""
        data = np.ascontiguousarray(features, np.float32)
        return np.array([member.tree_.predict(data)[:, 0] for member in self.members])

    def predict(self, features: NDArray[np.float32]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """(mean (n,), standard deviation over the members (n,))."""
        votes = self.votes(features)
        return votes.mean(axis=0), votes.std(axis=0)
