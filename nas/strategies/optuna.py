"""``optuna:<sampler>``: Optuna's samplers behind ask and tell.

A choice becomes a parameter of its own name: ordered numbers an integer over their positions, everything else a
category. Absent choices are asked for too, and ignored: these samplers recombine only what every trial has, and would
draw the kernels and precisions of all but the shallowest networks at random. A budget becomes a constraint, which they
treat as a preference; what is known ahead to break it is asked for anew, and so is what was proposed before.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from nas.objectives import OBJECTIVES
from nas.strategies.base import Result, Searcher, Signals
from spaces import Space, Value
from spaces.architecture import Codes
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


class OptunaStrategy(Searcher):
    """One in-memory study. Deterministic given its arguments and the events, like every strategy.

    Raises ``ValueError`` for CMA-ES on a space without ordered choices: it would silently be random search.
    """

    multi = True

    def __init__(
        self, sampler: str, space: Space, objectives: Sequence[str], budget: Mapping[str, float], seed: int,
        signals: Signals | None = None,
    ) -> None:  # fmt: skip
        import optuna

        super().__init__(space, objectives, budget, seed, signals)
        if sampler == "cmaes" and not any(c.ordered and len(c.values) > 1 for c in space.choices):
            raise ValueError("optuna:cmaes needs a choice of ordered numbers; this space has none [no-ordered-choice]")
        optuna.logging.set_verbosity(optuna.logging.ERROR)
        self.name = f"optuna:{sampler}"  # type: ignore[misc]
        self._constrained = sampler not in UNCONSTRAINED
        self._known: dict[bytes, Result] = {}
        self._kept = self.objectives[:1] if sampler in SINGLE else self.objectives
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            made = SAMPLERS[sampler](optuna.samplers, seed_for(seed, f"search.optuna.{sampler}") % 2**32)
        self._study = optuna.create_study(
            directions=["maximize" if OBJECTIVES[name].sense == "max" else "minimize" for name in self._kept],
            sampler=made,
        )
        self._open: dict[bytes, list[Any]] = {}  # trials by the codes that they proposed

    def candidates(self, rng: np.random.Generator) -> Codes:
        """What the sampler suggests; a repetition is answered at once from what is known."""
        trial = self._study.ask()
        row = self._suggested(trial)
        key = row.tobytes()
        if key in self._known:
            self._answer(trial, self._known[key])
        else:
            self._open.setdefault(key, []).append(trial)
        return row[None]

    def _suggested(self, trial: Any) -> Codes:
        codes: list[int] = []
        values: dict[str, Value] = {}
        for choice in self.space.choices:
            if choice.ordered:
                position = trial.suggest_int(choice.name, 0, len(choice.values) - 1)
            else:
                position = trial.suggest_categorical(choice.name, list(range(len(choice.values))))
            if choice.present(values):
                values[choice.name] = choice.values[position]
                codes.append(position)
            else:
                codes.append(-1)
        return np.array(codes, np.int16)

    def learn(self, results: Sequence[Result]) -> None:
        """Hand results to the study; a proposal of our own, made where the sampler only repeated itself, is added."""
        for result in results:
            key = self.codes(result).tobytes()
            self._known[key] = result
            for trial in self._open.pop(key, []):
                self._answer(trial, result)

    def _answer(self, trial: Any, result: Result) -> None:
        for name, limit in self.budget.items():
            if name in result.values and self._constrained:
                trial.set_constraint(name, result.values[name] / limit - 1)
        self._study.tell(trial, [result.values[name] for name in self._kept])
