"""``local_search``: look at the neighbours of the best, go where it is better, start anew where none is.

(White et al. 2021, "Exploring the loss landscape in neural architecture search".)
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice

import numpy as np

from nas.strategies.base import Searcher
from nas.strategies.protocol import Result
from spaces import moves
from spaces.architecture import Codes

STARTS = 10  # architectures drawn before the first climb
_NEIGHBOURS = 512


class LocalSearch(Searcher):
    """Climbs from the best start; a climb whose neighbours are all known ends, and another starts elsewhere."""

    name = "local_search"
    _best: Result | None = None
    _near: Codes | None = None  # neighbours of the best
    _drawing = STARTS

    def candidates(self, rng: np.random.Generator) -> Codes:
        """Neighbours of the best of this climb in a drawn order; draws where there is none yet."""
        if self._best is None or len(self._proposed) < self._drawing:
            return self.space.sample_many(8, rng).codes
        if self._near is None:
            self._near = self.space.batch(
                list(islice(self.space.neighbours(self._best.architecture), _NEIGHBOURS + 1))
            ).codes
        if len(self._near) > _NEIGHBOURS:  # too many to look at in order: draw some
            return moves.mutants(self.space, self.codes(self._best), 32, rng)
        return self._near[rng.permutation(len(self._near))]

    def learn(self, results: Sequence[Result]) -> None:
        """Go where it is better."""
        for result in results:
            if self._best is None or self.merit(result) > self.merit(self._best):
                self._best, self._near = result, None

    def stuck(self) -> None:
        """Every neighbour is known: draw another start."""
        self._best, self._near = None, None
