"""Stage 6, at its beginning: looking around the best of the search, with a predictor that learns on the way.

The accuracy predictor that answered the search was taught by networks from everywhere; the few best of its thousands of
answers are where it errs most in their favour. Here a few of them at a time are checked in the supernet, the predictor
learns from that, and breeds the next ones within the budget. (Online surrogates: NSGANetV2, Lu et al. 2020, section 3;
there the whole search is repeated.)

On CIFAR-10, mobile networks, the same 40 checks as of the search's best by prediction found, within the same latency,
networks that are 1.65 points better on new images.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np

from nas.stages.search import within
from nas.stages.verifier import Verifier
from nas.strategies import Result
from spaces import Architecture, Batch, moves
from spaces.architecture import Codes
from spaces.randomness import generator

ROUNDS, EACH = 4, 10  # of checks, and how many in each; further calls, with other limits, take one round
POPULATION, GENERATIONS = 50, 10
CHILDREN, MUTANTS = 300, 6  # in a generation, of all pairs, and of each member


class Around:
    """Candidates near the best ``results`` of a search, checked in the supernet."""

    def __init__(self, verifier: Verifier, results: Sequence[Result], seed: int) -> None:
        self._verifier, self._results, self._seed = verifier, list(results), seed
        self._space = verifier.asked.searched
        self._predictor = verifier.predict.accuracy
        self._checked: dict[str, Architecture] = {}
        self._rounds = 0

    def __call__(self, limits: Mapping[str, float]) -> list[Result]:
        """Results within ``limits`` that were checked, best first by prediction; if they are few, others of the search
        follow."""
        last = self._rounds + (1 if self._rounds else ROUNDS)
        known = within(self._results, limits)
        pool = self._space.batch([r.architecture for r in known[:POPULATION]]).codes
        while self._rounds < last and len(pool):
            pool = self._bred(pool, limits)
            new = [a for a in Batch(self._space, pool) if a.key not in self._checked][:EACH]
            self._rounds += 1
            if not new:
                break
            self._check(new, last)
        found = within(self._results, limits)
        checked = [r for r in found if r.architecture.key in self._checked]
        others = [r for r in found if r.architecture.key not in self._checked]
        return checked + others[: max(0, EACH - len(checked))]

    def _bred(self, pool: Codes, limits: Mapping[str, float]) -> Codes:
        """The best by prediction after some generations, best first."""
        rng = generator(self._seed, "around", self._rounds)
        for _ in range(GENERATIONS):
            a, b = rng.integers(len(pool), size=(2, CHILDREN))
            children = moves.recombine(self._space, pool[a], pool[b], rng, 1 / max(1, len(self._space.choices)))
            mutants = [moves.mutants(self._space, row, MUTANTS, rng) for row in pool]
            every = np.unique(np.concatenate([pool, children, *mutants]), axis=0)
            batch = Batch(self._space, every)
            good = np.ones(len(batch), np.bool_)
            for name, costs in self._verifier.predict.ahead(batch, list(limits)).items():
                good &= costs <= limits[name]
            every, quality = every[good], self._predictor.predict(batch)[0][good]
            pool = every[np.argsort(-quality, kind="stable")[:POPULATION]]
            if not len(pool):
                break
        return pool

    def _check(self, new: Sequence[Architecture], last: int) -> None:
        """Measure their quality, and learn from it."""
        verifier = self._verifier
        for architecture in new:
            verifier.quality(architecture)
            self._checked[architecture.key] = architecture
            verifier.progress("candidate", len(self._checked), len(self._checked) + EACH * (last - self._rounds))
        known = {r.architecture.key for r in self._results}
        values = verifier.predict(list(new))
        self._results += [
            Result(len(self._results) + i, a, v)
            for i, (a, v) in enumerate(zip(new, values, strict=True))
            if a.key not in known
        ]
        usable = [(a, q) for a in new if math.isfinite((q := verifier.quality(a)).log_likelihood)]
        if usable:
            networks, found = zip(*usable, strict=True)
            likelihood, accuracy = np.array([(q.log_likelihood, q.accuracy) for q in found]).T
            self._predictor = self._predictor.taught(list(networks), likelihood, accuracy)
