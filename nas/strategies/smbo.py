"""``smbo``: sequential model-based search with a ridge regression (the surrogate of DeepArchitect, on our encoding)."""

from __future__ import annotations

import numpy as np

from nas.strategies.base import Searcher
from spaces.architecture import Codes
from spaces.batch import Batch

FIRST, BLOCK, DRAWN, EPSILON = 20, 5, 512, 0.1
_RIDGE = 1.0


class Smbo(Searcher):
    """Of drawn candidates the one that a linear model likes best, and with probability ``EPSILON`` any."""

    name = "smbo"
    whole = True

    def candidates(self, rng: np.random.Generator) -> Codes:
        """Draws at first; then the best of many draws by the model."""
        drawn = self.space.sample_many(DRAWN, rng).codes
        if len(self.results) < FIRST:
            return drawn[:BLOCK]
        rows = np.array([self.codes(result) for result in self.results], np.int16)
        merits = np.array([self.merit(result) for result in self.results])
        value = np.where(merits[:, 0] > 0, merits[:, 1], merits[merits[:, 0] > 0, 1].min(initial=0) - 1 + merits[:, 1])
        x = self.space.encode(Batch(self.space, rows)).astype(np.float64)
        center = x.mean(axis=0)
        weights = np.linalg.solve(
            (x - center).T @ (x - center) + _RIDGE * np.eye(x.shape[1]), (x - center).T @ (value - value.mean())
        )
        pool = self._good(np.unique(drawn, axis=0))
        if not len(pool):
            return pool
        liked = self.space.encode(Batch(self.space, pool)).astype(np.float64) @ weights
        chosen = np.argsort(-liked, kind="stable")[:BLOCK]
        anyhow = rng.random(len(chosen)) < EPSILON
        return pool[np.where(anyhow, rng.integers(len(pool), size=len(chosen)), chosen)]
