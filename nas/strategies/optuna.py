"""``optuna:<sampler>``: Optuna's samplers behind ask and tell.

A choice becomes a parameter of its own name: ordered numbers an integer over their positions, everything else a
category. Absent choices are asked for too, and ignored: these samplers recombine only what every trial has, and would
draw the kernels and precisions of all but the shallowest networks at random. A budget becomes a constraint, which they
treat as a preference. Unlike our own strategies these repeat themselves once they have converged: to refuse that, every
repetition would be another trial of the study, and the study slows down with their number.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from typing import Any

from nas.objectives import OBJECTIVES
from nas.strategies.protocol import Result, Signals
from spaces import Architecture, Space, Value
from spaces.randomness import seed_for

SINGLE = frozenset({"cmaes"})  # samplers of one objective
UNCONSTRAINED = frozenset({"cmaes", "qmc"})  # samplers that do not look at constraints
SAMPLERS: dict[str, Any] = {
    "nsga2": lambda samplers, seed: samplers.NSGAIISampler(population_size=50, seed=seed),
    "nsga3": lambda samplers, seed: samplers.NSGAIIISampler(population_size=50, seed=seed),
    "tpe": lambda samplers, seed: samplers.TPESampler(seed=seed, multivariate=False),
    "gp": lambda samplers, seed: samplers.GPSampler(seed=seed, deterministic_objective=True),
    "cmaes": lambda samplers, seed: samplers.CmaEsSampler(seed=seed, warn_independent_sampling=False),
    "qmc": lambda samplers, seed: samplers.QMCSampler(seed=seed, scramble=True, warn_independent_sampling=False),
}


class OptunaStrategy:
    """One in-memory study. Deterministic given its arguments and the events, like every strategy.

    Raises ``ValueError`` for CMA-ES on a space without ordered choices: it would silently be random search.
    """

    def __init__(
        self, sampler: str, space: Space, objectives: Sequence[str], budget: Mapping[str, float], seed: int,
        signals: Signals | None = None,
    ) -> None:  # fmt: skip
        import optuna

        if sampler == "cmaes" and not any(c.ordered and len(c.values) > 1 for c in space.choices):
            raise ValueError("optuna:cmaes needs a choice of ordered numbers; this space has none [no-ordered-choice]")
        optuna.logging.set_verbosity(optuna.logging.ERROR)
        self._space = space
        self._objectives = list(objectives)[:1] if sampler in SINGLE else list(objectives)
        self._budget = {} if sampler in UNCONSTRAINED else dict(budget)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            made = SAMPLERS[sampler](optuna.samplers, seed_for(seed, f"search.optuna.{sampler}") % 2**32)
        self._study = optuna.create_study(
            directions=["maximize" if OBJECTIVES[name].sense == "max" else "minimize" for name in self._objectives],
            sampler=made,
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
