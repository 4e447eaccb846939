"""Search strategies by name, one file each."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial

from nas.strategies.base import Result, Strategy
from nas.strategies.optuna import OptunaStrategy
from nas.strategies.random import Random
from spaces import Space

Make = Callable[[Space, Sequence[str], Mapping[str, float], int], Strategy]

STRATEGIES: dict[str, Make] = {
    "random": Random,
    "optuna:nsga2": partial(OptunaStrategy, "nsga2"),
}


def strategy(name: str, space: Space, objectives: Sequence[str], budget: Mapping[str, float], seed: int) -> Strategy:
    """A fresh strategy. ``budget``: upper limits by objective. Raises ``KeyError`` for an unknown name."""
    return STRATEGIES[name](space, objectives, budget, seed)


__all__ = ["STRATEGIES", "Result", "Strategy", "strategy"]
