"""``optuna:<sampler>``: Optuna's samplers behind ask and tell.

A choice becomes a parameter of its own name: ordered numbers an integer over their positions, everything else a
category. Absent choices are asked for too, and ignored: these samplers recombine only what every trial has, and would
draw the kernels and precisions of all but the shallowest networks at random. A budget becomes a constraint, which they
treat as a preference.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from nas.objectives import OBJECTIVES
from nas.strategies.base import Result
from spaces import Architecture, Space, Value
from spaces.randomness import seed_for


class OptunaStrategy:
    """One in-memory study. Deterministic given its arguments and the events, like every strategy."""

    def __init__(
        self, sampler: str, space: Space, objectives: Sequence[str], budget: Mapping[str, float], seed: int
    ) -> None:
        import optuna

        optuna.logging.set_verbosity(optuna.logging.WARNING)
        self._space = space
        self._objectives = list(objectives)
        self._budget = dict(budget)
        self._study = optuna.create_study(
            directions=["maximize" if OBJECTIVES[name].sense == "max" else "minimize" for name in objectives],
            sampler=_SAMPLERS[sampler](optuna.samplers, seed_for(seed, f"search.optuna.{sampler}") % 2**32),
        )
        self._trials: list[Any] = []
        self._told: set[int] = set()

    def ask(self, count: int) -> list[Architecture]:
        """Proposals of the sampler."""
        return [self._propose() for _ in range(count)]

    def _propose(self) -> Architecture:
        trial = self._study.ask()
        self._trials.append(trial)
        values: dict[str, Value] = {}
        for choice in self._space.choices:
            if choice.ordered:
                position = trial.suggest_int(choice.name, 0, len(choice.values) - 1)
            else:
                position = trial.suggest_categorical(choice.name, list(range(len(choice.values))))
            if choice.present(values):
                values[choice.name] = choice.values[position]
        return self._space.architecture(values)

    def tell(self, results: Sequence[Result]) -> None:
        """Hand results to the study; a failed or non-finite one is recorded as failed and never becomes a parent."""
        from optuna.trial import TrialState

        for result in results:
            if not 0 <= result.trial < len(self._trials):
                raise ValueError(f"trial {result.trial} was never proposed; {len(self._trials)} have been")
            if result.trial in self._told:
                continue
            self._told.add(result.trial)
            trial = self._trials[result.trial]
            if not result.usable:
                self._study.tell(trial, state=TrialState.FAIL)
                continue
            for name, limit in self._budget.items():
                trial.set_constraint(name, result.values[name] / limit - 1)
            self._study.tell(trial, [result.values[name] for name in self._objectives])


_SAMPLERS = {
    "nsga2": lambda samplers, seed: samplers.NSGAIISampler(population_size=50, seed=seed),
}
