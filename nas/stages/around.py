"""Stage 6, at its beginning: looking around the best of the search, with a predictor that learns on the way.

The accuracy predictor that answered the search was taught by networks from everywhere; the few best of its thousands of
answers are where it errs most in their favour. Here a few of them at a time are checked in the supernet, the predictor
learns from that, and breeds the next ones within the budget. (Online surrogates: NSGANetV2, Lu et al. 2020, section 3;
there the whole search is repeated.)

On CIFAR-10, mobile networks, within two latencies, 40 and 60 checks so found, against the 40 best of the search,
networks 1.9 and 0.4 points better on 6,000 new images (``tests.benchmarks.around``). Bred from the first
round on, they were 1.5 points better and 1.2 worse: what the predictor is taught first has to be diverse.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nas.stages.search import within
from nas.stages.verifier import Verifier
from nas.strategies import Result
from spaces import Architecture, Batch, moves
from spaces.architecture import Codes
from spaces.randomness import generator

EACH = 5  # networks that are checked in a round
OF_SEARCH = 4  # rounds of what the search found
BRED, PATIENCE = 10, 3  # most rounds of bred ones, and how many in a row may find nothing better
MOST = EACH * (OF_SEARCH + BRED)
MORE = 4  # most rounds of further calls, with other limits
APART = 3  # choices that networks of a round differ by, so that each of them tells something
POPULATION, GENERATIONS = 50, 10
CHILDREN, MUTANTS = 300, 6  # in a generation, of all pairs, and of each member


class Around:
    """Candidates near the best ``results`` of a search, checked in the supernet."""

    def __init__(self, verifier: Verifier, results: Sequence[Result], seed: int) -> None:
        self._verifier, self._results, self._seed = verifier, list(results), seed
        self._space = verifier.asked.searched
        self._checked: set[str] = set()

    def __call__(self, limits: Mapping[str, float]) -> list[Result]:
        """Results within ``limits`` that were checked; if they are few, the best others of the search follow."""
        first = not self._checked
        if first:
            pool = self._codes(within(self._results, limits))
            for _ in range(OF_SEARCH):
                self._check(self._different(pool))
        self._breed(limits, BRED if first else MORE)
        found = within(self._results, limits)
        checked = [r for r in found if r.architecture.key in self._checked]
        others = [r for r in found if r.architecture.key not in self._checked]
        return checked + others[: max(0, 2 * EACH - len(checked))]

    def _codes(self, results: Sequence[Result]) -> Codes:
        return self._space.batch([r.architecture for r in results]).codes

    def _breed(self, limits: Mapping[str, float], rounds: int) -> None:
        """Check bred ones until they are no better than those before.

        Their ancestors are the results within ``limits``; where these are few, as measurements have shown predictions
        to be wrong, those that miss them least too.
        """
        inside = within(self._results, limits)
        shares = [(float(_share(r.values, limits)), i) for i, r in enumerate(self._results)]
        missing = [self._results[i] for share, i in sorted(shares) if share > 1]
        pool = self._codes([*inside, *missing[: max(0, POPULATION - len(inside))]])
        best, stale = -math.inf, 0
        for _ in range(rounds):
            if not len(pool) or stale == PATIENCE:
                break
            pool = self._bred(pool[: 2 * POPULATION], limits)
            new = self._different(pool)
            if not new:
                break
            reached = self._check(new)
            best, stale = max(best, reached), 0 if reached > best else stale + 1

    def _different(self, pool: Codes) -> list[Architecture]:
        """The first ones of the pool that were not checked, apart from each other as far as there are such."""
        batch = Batch(self._space, pool)
        new = [i for i in range(len(pool)) if batch[i].key not in self._checked]
        found: list[int] = []
        for i in new:
            if len(found) < EACH and all((pool[i] != pool[j]).sum() >= APART for j in found):
                found.append(i)
        found += [i for i in new if i not in found][: EACH - len(found)]
        return [batch[i] for i in found]

    def _bred(self, pool: Codes, limits: Mapping[str, float]) -> Codes:
        """The best by prediction within ``limits`` after some generations, best first.

        Those outside are ancestors by how little they miss (constrained domination: Deb et al. 2002, section VI).
        """
        rng = generator(self._seed, "around", len(self._checked))
        predictor = self._verifier.learn([])
        for _ in range(GENERATIONS):
            a, b = rng.integers(len(pool), size=(2, CHILDREN))
            children = moves.recombine(self._space, pool[a], pool[b], rng, 1 / max(1, len(self._space.choices)))
            mutants = [moves.mutants(self._space, row, MUTANTS, rng) for row in pool]
            every = np.unique(np.concatenate([pool, children, *mutants]), axis=0)
            batch = Batch(self._space, every)
            share = np.broadcast_to(_share(self._verifier.predict.ahead(batch, list(limits)), limits), len(batch))
            order = np.lexsort((-predictor.predict(batch)[0], np.maximum(share, 1)))[:POPULATION]
            pool, inside = every[order], share[order] <= 1
        return pool[inside]

    def _check(self, new: Sequence[Architecture]) -> float:
        """Measure their quality, and learn from it; the best log-likelihood among them."""
        verifier, known = self._verifier, {r.architecture.key for r in self._results}
        for architecture in new:
            verifier.quality(architecture)
            self._checked.add(architecture.key)
            verifier.progress("candidate", len(self._checked), max(MOST, len(self._checked)))
        verifier.learn(new)
        values = verifier.predict(list(new)) if new else []
        found = [(a, v) for a, v in zip(new, values, strict=True) if a.key not in known]
        self._results += [Result(len(self._results) + i, a, v) for i, (a, v) in enumerate(found)]
        return max((verifier.quality(a).log_likelihood for a in new), default=-math.inf)


def _share(costs: Mapping[str, Any], limits: Mapping[str, float]) -> NDArray[np.float64]:
    """The largest share of a limit that costs take, numbers or columns (n,); 0 without limits."""
    none = np.zeros(())
    shares = [np.asarray(costs[name]) / limit if limit else none + math.inf for name, limit in limits.items()]
    return np.asarray(functools.reduce(np.maximum, shares, none))
