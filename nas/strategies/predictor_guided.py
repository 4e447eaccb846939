"""``predictor_guided``: fit a predictor to what is known, propose what it likes, evaluate, fit again.

An ensemble of trees on the encoding; its members' spread is its uncertainty. Candidates are the whole space where it is
small, else children of the best results and draws. Of them every other proposal is the one that the ensemble likes
best, and every other the one that a drawn member does (independent Thompson sampling, as in BANANAS, White et al. 2021;
the loop is LINAS of DyNAS-T, Cummings et al. 2022). With several objectives every block draws a weighting of their
ranks.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from nas.pareto import ranks
from nas.strategies.base import Searcher
from predictors.accuracy.trees import TreeEnsemble
from spaces import moves
from spaces.architecture import Codes
from spaces.batch import Batch

FIRST, BLOCK, GROWTH = 20, 10, 8  # drawn results before the first fit; least proposals per fit; results per proposal
_TIE = 1e-6  # of the spread of what is liked: trees say the same of many, and the first of them is no better
_WHOLE, _CHILDREN, _DRAWN = 20_000, 600, 200


class PredictorGuided(Searcher):
    """Fits once per block of proposals."""

    name = "predictor_guided"
    multi = True
    whole = True
    _every: Codes | None = None

    def candidates(self, rng: np.random.Generator) -> Codes:
        """Draws at first; then the candidates that the ensemble likes, a block of them."""
        if len(self.results) < FIRST:
            return self.space.spread(FIRST, rng).codes
        pool = self._pool(rng)
        if not len(pool):
            return pool
        known = np.array([self.codes(result) for result in self.results], np.int16)
        model = TreeEnsemble.fit(self.space.encode(Batch(self.space, known)), self._targets(rng), rng)
        votes = model.votes(self.space.encode(Batch(self.space, pool)))  # (trees, n)
        chosen: list[int] = []
        for turn in range(min(len(pool), max(BLOCK, len(self.results) // GROWTH))):
            liked = votes.mean(axis=0) if turn % 2 == 0 else votes[rng.integers(len(votes))]
            liked = liked + rng.uniform(0, _TIE * (np.ptp(liked) or 1), len(liked))
            liked[chosen] = -np.inf
            chosen.append(int(liked.argmax()))
        return pool[chosen]

    def _targets(self, rng: np.random.Generator) -> NDArray[np.float64]:
        """What to learn (n,): the larger the better, of all objectives and the budget."""
        costs = np.array([self.costs(result) for result in self.results])
        if costs.shape[1] == 1:
            value = -costs[:, 0]
        else:
            places = np.argsort(np.argsort(costs, axis=0), axis=0) / max(1, len(costs) - 1)
            value = -(places @ rng.dirichlet(np.ones(costs.shape[1]))) - 0.1 * ranks(costs)
        over = np.array([not self.merit(result)[0] for result in self.results])
        value[over] -= value.max() - value.min() + 1
        return value

    def _pool(self, rng: np.random.Generator) -> Codes:
        if self.space.size <= _WHOLE:
            if self._every is None:
                self._every = np.array(list(self.space.rows()), np.int16).reshape(-1, len(self.space.choices))
            return self._good(self._every)
        best = sorted(self.results, key=self.merit, reverse=True)[:20]
        rows = np.array([self.codes(result) for result in best], np.int16)
        a, b = rng.integers(len(rows), size=(2, _CHILDREN))
        children = moves.recombine(self.space, rows[a], rows[b], rng, 1.5 / len(self.space.choices))
        pool = np.concatenate([children, self.space.sample_many(_DRAWN, rng).codes])
        return self._good(np.unique(pool, axis=0))
