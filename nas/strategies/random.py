"""``random``: uniform over the architectures of the space. The baseline of every other strategy."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from nas.strategies.base import Result
from spaces import Architecture, Space
from spaces.randomness import generator


class Random:
    """Draws proposal ``i`` from (seed, i) alone; learns nothing."""

    def __init__(self, space: Space, objectives: Sequence[str], budget: Mapping[str, float], seed: int) -> None:
        self._space = space
        self._seed = seed
        self._asked = 0

    def ask(self, count: int) -> list[Architecture]:
        """Independent uniform draws."""
        start, self._asked = self._asked, self._asked + count
        return [self._space.sample(generator(self._seed, "search.random", i)) for i in range(start, self._asked)]

    def tell(self, results: Sequence[Result]) -> None:
        """Nothing to learn; only foreign trials are refused."""
        for result in results:
            if not 0 <= result.trial < self._asked:
                raise ValueError(f"trial {result.trial} was never proposed; {self._asked} have been")
