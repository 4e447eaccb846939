"""``low_discrepancy``: a scrambled Sobol sequence through the space, which fills it more evenly than draws."""

from __future__ import annotations

import numpy as np

from nas.strategies.base import Searcher
from spaces.architecture import Codes

_BLOCK = 64


class LowDiscrepancy(Searcher):
    """Takes the points of the sequence in order; learns nothing."""

    name = "low_discrepancy"
    multi = True
    whole = True
    _start = 0

    def candidates(self, rng: np.random.Generator) -> Codes:
        """The next points, each picking the values of an architecture by their share."""
        from scipy.stats import qmc

        sequence = qmc.Sobol(max(1, len(self.space.choices)), rng=np.random.default_rng(self.seed))
        if self._start:
            sequence.fast_forward(self._start)
        self._start += _BLOCK
        return self.space.place(sequence.random(_BLOCK)[:, : len(self.space.choices)]).codes
