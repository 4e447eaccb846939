"""``mcts``: upper confidence bounds on the tree of decisions (Kocsis & Szepesvari 2006; as in DeepArchitect).

A node is a prefix of decisions. From the root the child with the largest ``mean + c sqrt(2 ln N / n)`` is followed, one
that was never tried first; what is below the first new node is drawn. Values are the shares of results that are worse,
so that no scale matters.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Sequence

import numpy as np

from nas.strategies.base import Searcher
from nas.strategies.protocol import Result
from spaces import moves
from spaces.architecture import Codes

EXPLORATION = 0.3
_DRAWN = 8


class Mcts(Searcher):
    """One path down the tree per proposal."""

    name = "mcts"

    def __init__(self, *arguments: object, **more: object) -> None:
        super().__init__(*arguments, **more)  # type: ignore[arg-type]
        self._visits: dict[tuple[int, ...], int] = {}
        self._sums: dict[tuple[int, ...], float] = {}
        self._merits: list[tuple[bool, float]] = []

    def candidates(self, rng: np.random.Generator) -> Codes:
        """Completions of the prefix that the bounds lead to."""
        prefix: list[int] = []
        for choice, control in zip(self.space.choices, self.space.controls, strict=True):
            if not all(allowed[prefix[parent]] for parent, allowed in control):
                prefix.append(-1)
                continue
            children = [(*prefix, code) for code in range(len(choice.values))]
            new = [child[-1] for child in children if child not in self._visits]
            if new:
                prefix.append(new[int(rng.integers(len(new)))])
                break
            prefix.append(max(children, key=lambda child: (self._bound(child, tuple(prefix)), rng.random()))[-1])
        wanted = np.full((_DRAWN, len(self.space.choices)), -1, np.int16)
        wanted[:, : len(prefix)] = prefix
        return moves.settle(self.space, wanted, rng)

    def stuck(self) -> None:
        """Everything below this prefix is known: make the paths to what was proposed last less attractive."""
        for depth in range(1, len(self.space.choices) + 1):
            node = tuple(self._proposed[-1][:depth].tolist()) if self._proposed else ()
            self._visits[node] = self._visits.get(node, 0) + 1

    def learn(self, results: Sequence[Result]) -> None:
        """Add each result's place among all so far to the nodes above it."""
        for result in results:
            merit = self.merit(result)
            insort(self._merits, merit)
            share = bisect_left(self._merits, merit) / len(self._merits)
            row = self.codes(result).tolist()
            for depth in range(len(row) + 1):
                node = tuple(row[:depth])
                self._visits[node] = self._visits.get(node, 0) + 1
                self._sums[node] = self._sums.get(node, 0.0) + share

    def _bound(self, node: tuple[int, ...], parent: tuple[int, ...]) -> float:
        visits = self._visits[node]
        over = max(1, self._visits.get(parent, len(self._merits)))
        return self._sums.get(node, 0.0) / visits + EXPLORATION * float(np.sqrt(2 * np.log(over) / visits))
