"""A strategy made by the README's recipe keeps the contract; no file of ours knows of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from nas.strategies import Result, Searcher
from nas.testing.strategies import StrategyContract
from spaces import moves


class HillClimber(Searcher):
    """Children of the best so far."""

    name = "hill_climber"
    best: Result | None = None

    def candidates(self, rng: np.random.Generator) -> Any:
        """The first are drawn."""
        if self.best is None:
            return self.space.sample_many(8, rng).codes
        return moves.mutants(self.space, self.codes(self.best), 8, rng)

    def learn(self, results: Sequence[Result]) -> None:
        """What is new and better."""
        self.best = max([*([self.best] if self.best else []), *results], key=self.merit)


class TestHillClimber(StrategyContract):
    """Two lines."""

    strategy = HillClimber


def test_it_climbs() -> None:
    """The contract's made-up world has wide networks for good."""
    from nas.testing.strategies import OBJECTIVES, example, score

    def best_of(climber: Any, budget: Mapping[str, float]) -> float:
        found = -1.0
        for trial in range(200):
            asked = climber.ask(1)
            climber.tell([Result(trial, asked[0], score(asked[0]))])
            found = max(found, score(asked[0])["quality"])
        return found

    top = max(score(a)["quality"] for a in example().sample_many(2_000, np.random.default_rng(0)))
    assert best_of(HillClimber(example(), OBJECTIVES, {}, 0), {}) >= top
