"""``successive_narrowing``: rounds of draws, after each of which every choice keeps the better half of its values.

(As in DeepArchitect.) A value is as good as the mean place of the results that have it. When nothing is left to narrow
the rounds begin anew.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from nas.strategies.base import Searcher
from nas.strategies.protocol import Result
from spaces import moves
from spaces.architecture import Codes

ROUND = 40


class SuccessiveNarrowing(Searcher):
    """Draws uniformly over the values that are left."""

    name = "successive_narrowing"

    def __init__(self, *arguments: object, **more: object) -> None:
        super().__init__(*arguments, **more)  # type: ignore[arg-type]
        self._left = self._all()
        self._round: list[Result] = []

    def candidates(self, rng: np.random.Generator) -> Codes:
        """Draws of the values that are left."""
        wanted = (
            np.stack([rng.choice(left, size=8) for left in self._left], axis=1).astype(np.int16)
            if self._left
            else (np.empty((1, 0), np.int16))
        )
        return moves.settle(self.space, wanted, rng)

    def learn(self, results: Sequence[Result]) -> None:
        """Narrow when a round is full."""
        self._round += results
        if len(self._round) < ROUND:
            return
        rows = np.array([self.codes(result) for result in self._round], np.int16)
        order = sorted(range(len(self._round)), key=lambda i: self.merit(self._round[i]))
        places = np.empty(len(order))
        places[order] = np.arange(len(order))
        for i, left in enumerate(self._left):
            means = [places[rows[:, i] == code].mean() if (rows[:, i] == code).any() else -1.0 for code in left]
            kept = np.argsort(-np.array(means), kind="stable")[: -(-len(left) // 2)]
            self._left[i] = left[np.sort(kept)]
        self._round = []
        if all(len(left) == 1 for left in self._left):
            self._left = self._all()

    def stuck(self) -> None:
        """Everything that is left is known: begin anew."""
        self._left = self._all()

    def _all(self) -> list[Codes]:
        return [np.arange(len(choice.values), dtype=np.int16) for choice in self.space.choices]
