"""Search strategies by name, one file each."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from functools import partial

from nas import plugins as code
from nas.strategies.base import Searcher
from nas.strategies.local_search import LocalSearch
from nas.strategies.low_discrepancy import LowDiscrepancy
from nas.strategies.mcts import Mcts
from nas.strategies.nsga2 import Nsga2
from nas.strategies.optuna import SAMPLERS, OptunaStrategy
from nas.strategies.predictor_guided import PredictorGuided
from nas.strategies.protocol import Result, Signals, Strategy
from nas.strategies.random import Random
from nas.strategies.regularized_evolution import RegularizedEvolution
from nas.strategies.smbo import Smbo
from nas.strategies.successive_narrowing import SuccessiveNarrowing
from spaces import Space

Make = Callable[[Space, Sequence[str], Mapping[str, float], int, Signals | None], Strategy]

STRATEGIES: dict[str, Make] = {
    "random": Random,
    "low_discrepancy": LowDiscrepancy,
    "local_search": LocalSearch,
    "regularized_evolution": RegularizedEvolution,
    "nsga2": Nsga2,
    "predictor_guided": PredictorGuided,
    "mcts": Mcts,
    "smbo": Smbo,
    "successive_narrowing": SuccessiveNarrowing,
    **{f"optuna:{sampler}": partial(OptunaStrategy, sampler) for sampler in SAMPLERS},
}


def strategy(
    name: str, space: Space, objectives: Sequence[str], budget: Mapping[str, float], seed: int,
    signals: Signals | None = None, plugins: Collection[str] = (),
) -> Strategy:  # fmt: skip
    """A fresh strategy. ``budget``: upper limits by objective.

    ``name`` may be ``package.module:Class`` of one of the ``plugins``. Raises ``KeyError`` for an unknown name and
    :class:`nas.plugins.NotAllowed` for code that was not allowed.
    """
    make = code.function(name, plugins) if name not in STRATEGIES and ":" in name else STRATEGIES[name]
    made: Strategy = make(space, objectives, budget, seed, signals)
    return made


__all__ = ["STRATEGIES", "Make", "Result", "Searcher", "Signals", "Strategy", "strategy"]
