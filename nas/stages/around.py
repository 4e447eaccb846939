"""Stage 6, at its beginning: looking around the best of the search, with a predictor that learns on the way.

The accuracy predictor that answered the search was taught by networks from everywhere; the few best of its thousands of
answers are where it errs most in their favour. Here a few of them at a time are checked in the supernet, the predictor
learns from that, and breeds the next ones within the budget. (Online surrogates: NSGANetV2, Lu et al. 2020, section 3;
there the whole search is repeated.)

On CIFAR-10, mobile networks: within the same two latencies, as many checks as of the search's 40 best found networks
that are 2.0 and 0.4 points better on 6,000 new images (57.5 against 55.6 %, 60.4 against 60.0). Bred from the first
round on, they were 1.5 points better and 1.2 worse: what the predictor is taught first has to be diverse.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from nas.stages.search import within
from nas.stages.verifier import Verifier
from nas.strategies import Result
from spaces import Architecture, Batch, moves
from spaces.architecture import Codes
from spaces.randomness import generator

ROUNDS, EACH = 10, 5  # of checks, and how many in each
OF_SEARCH = 4  # of the rounds, before networks are bred
APART = 3  # choices that networks of a round differ by, so that each of them tells something
MORE = 2  # rounds of further calls, with other limits
POPULATION, GENERATIONS = 50, 10
CHILDREN, MUTANTS = 300, 6  # in a generation, of all pairs, and of each member


class Around:
    """Candidates near the best ``results`` of a search, checked in the supernet."""

    def __init__(self, verifier: Verifier, results: Sequence[Result], seed: int) -> None:
        self._verifier, self._results, self._seed = verifier, list(results), seed
        self._space = verifier.asked.searched
        self._checked: dict[str, Architecture] = {}
        self._rounds = 0

    def __call__(self, limits: Mapping[str, float]) -> list[Result]:
        """Results within ``limits`` that were checked, best first by prediction; if they are few, others of the search
        follow."""
        last = self._rounds + (MORE if self._rounds else ROUNDS)
        pool = self._space.batch([r.architecture for r in within(self._results, limits)]).codes
        while self._rounds < last and len(pool):
            if self._rounds >= OF_SEARCH:
                pool = self._bred(pool[: 2 * POPULATION], limits)
            new = self._different(pool)
            self._rounds += 1
            if new:
                self._check(new, last)
            elif self._rounds > OF_SEARCH:
                break
        found = within(self._results, limits)
        checked = [r for r in found if r.architecture.key in self._checked]
        others = [r for r in found if r.architecture.key not in self._checked]
        return checked + others[: max(0, 2 * EACH - len(checked))]

    def _different(self, pool: Codes) -> list[Architecture]:
        """The first ones of the pool that were not checked, apart from each other."""
        rows: list[Codes] = []
        found: list[Architecture] = []
        for row, architecture in zip(pool, Batch(self._space, pool), strict=True):
            if len(found) == EACH:
                break
            apart = min((int((row != other).sum()) for other in rows), default=APART)
            if apart >= APART and architecture.key not in self._checked:
                rows.append(row)
                found.append(architecture)
        return found

    def _bred(self, pool: Codes, limits: Mapping[str, float]) -> Codes:
        """The best by prediction after some generations, best first."""
        rng = generator(self._seed, "around", self._rounds)
        predictor = self._verifier.learn([])
        for _ in range(GENERATIONS):
            a, b = rng.integers(len(pool), size=(2, CHILDREN))
            children = moves.recombine(self._space, pool[a], pool[b], rng, 1 / max(1, len(self._space.choices)))
            mutants = [moves.mutants(self._space, row, MUTANTS, rng) for row in pool]
            every = np.unique(np.concatenate([pool, children, *mutants]), axis=0)
            batch = Batch(self._space, every)
            good = np.ones(len(batch), np.bool_)
            for name, costs in self._verifier.predict.ahead(batch, list(limits)).items():
                good &= costs <= limits[name]
            every, quality = every[good], predictor.predict(batch)[0][good]
            pool = every[np.argsort(-quality, kind="stable")[:POPULATION]]
            if not len(pool):
                break
        return pool

    def _check(self, new: Sequence[Architecture], last: int) -> None:
        """Measure their quality, and learn from it."""
        verifier, known = self._verifier, {r.architecture.key for r in self._results}
        for architecture in new:
            verifier.quality(architecture)
            self._checked[architecture.key] = architecture
            verifier.progress("candidate", len(self._checked), len(self._checked) + EACH * (last - self._rounds))
        verifier.learn(new)
        values = verifier.predict(list(new))
        found = [(a, v) for a, v in zip(new, values, strict=True) if a.key not in known]
        self._results += [Result(len(self._results) + i, a, v) for i, (a, v) in enumerate(found)]
