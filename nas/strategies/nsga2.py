"""``nsga2``: NSGA-II (Deb et al. 2002) on codes, a generation at a time as matrices.

Selection by constrained domination (what keeps the budget before what does not), then by front, then by crowding. The
population is the best of everything told so far; children are crossed and mutated with probability one over the number
of choices, and never repeat an architecture.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from nas.pareto import crowding, ranks
from nas.strategies.base import Searcher
from nas.strategies.protocol import Result
from spaces import moves
from spaces.architecture import Codes

POPULATION = 50


class Nsga2(Searcher):
    """Generations of ``POPULATION`` children; those still open when a result comes are proposed all the same."""

    name = "nsga2"
    multi = True
    whole = True

    def __init__(self, *arguments: object, **more: object) -> None:
        super().__init__(*arguments, **more)  # type: ignore[arg-type]
        self._population: list[Result] = []
        self._order: list[float] = []  # rank and crowding of each as one number, the smaller the better

    def candidates(self, rng: np.random.Generator) -> Codes:
        """Draws for the first generation, then children of tournaments of two."""
        if len(self._proposed) < POPULATION or len(self._population) < 2:
            return self.space.sample_many(POPULATION, rng).codes
        rows = np.array([self.codes(result) for result in self._population], np.int16)
        order = np.array(self._order)
        drawn = rng.integers(len(rows), size=(2, POPULATION, 2))
        parents = np.where(order[drawn[..., 0]] <= order[drawn[..., 1]], drawn[..., 0], drawn[..., 1])
        return moves.recombine(self.space, rows[parents[0]], rows[parents[1]], rng, 1 / max(1, len(self.space.choices)))

    def learn(self, results: Sequence[Result]) -> None:
        """Keep the best of the population and what is new."""
        pool = [*self._population, *results]
        costs = np.array([self.costs(result) for result in pool])
        merits = [self.merit(result) for result in pool]
        good = np.array([kept for kept, _ in merits])
        rank = np.zeros(len(pool))
        rank[good] = ranks(costs[good])
        over = np.flatnonzero(~good)
        worst = rank[good].max(initial=-1) + 1
        rank[over] = worst + np.argsort(np.argsort([-merits[i][1] for i in over], kind="stable"), kind="stable")
        near = np.zeros(len(pool))
        for front in np.unique(rank[good]):
            rows = np.flatnonzero(good & (rank == front))
            near[rows] = crowding(costs[rows])
        best = np.lexsort((-near, rank))[:POPULATION]
        self._population = [pool[i] for i in best]
        self._order = [float(place) for place in range(len(best))]
