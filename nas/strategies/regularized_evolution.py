"""``regularized_evolution``: the oldest of a population makes room, not the worst (Real et al. 2019)."""

from __future__ import annotations

import numpy as np

from nas.strategies.base import Searcher
from spaces import moves
from spaces.architecture import Codes

POPULATION, TOURNAMENT = 30, 8
_MUTANTS = 8  # of one parent, of which the first that is new is proposed


class RegularizedEvolution(Searcher):
    """The best of a drawn tournament among the last results has a child that differs in one decision."""

    name = "regularized_evolution"

    def candidates(self, rng: np.random.Generator) -> Codes:
        """Draws until the population is there, then children of one tournament's winner."""
        alive = self.results[-POPULATION:]
        if len(self._proposed) < POPULATION or not alive:
            return self.space.sample_many(_MUTANTS, rng).codes
        drawn = rng.choice(len(alive), size=min(TOURNAMENT, len(alive)), replace=False)
        parent = max((alive[i] for i in drawn), key=self.merit)
        return moves.mutants(self.space, self.codes(parent), _MUTANTS, rng)
