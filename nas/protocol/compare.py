"""Strategies side by side on a table, at equal numbers of evaluations."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nas.evaluators import results
from nas.evaluators.tabular import Tabular
from nas.pareto import hypervolume
from nas.protocol.statistics import ENOUGH, better, interval, relative_improvement
from nas.strategies import Signals, strategy
from spaces import Batch
from spaces.randomness import generator

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Task:
    """What is searched for: the ``objective`` column is what strategies see, the ``score`` column the truth.

    ``second`` is another objective, to be minimised, or with a ``limit`` what that budget is on; ``ahead`` is the
    column that strategies know of it before an evaluation (a prediction, or itself). ``sense`` is that of objective and
    score.
    """

    table: Tabular
    objective: str
    score: str
    second: str | None
    evaluations: int
    sense: str = "max"
    limit: float | None = None
    ahead: str | None = None

    @property
    def answers(self) -> Tabular:
        """The table as an evaluator of quality and, if there is a second objective, latency."""
        objectives = {"quality": (self.objective, 1.0 if self.sense == "max" else -1.0)}
        if self.second is not None:
            objectives["latency_ms"] = (self.second, 1.0)
        return replace(self.table, objectives=objectives)

    @property
    def budget(self) -> dict[str, float]:
        """By objective."""
        return {} if self.limit is None else {"latency_ms": self.limit}

    @property
    def signals(self) -> Signals | None:
        """What is known ahead of the second objective; it takes no evaluation."""
        if self.ahead is None:
            return None
        column = self.table.column(self.ahead)

        def ahead(batch: Batch, names: Collection[str]) -> dict[str, Floats]:
            rows = [self.table.rows.get(a.key, -1) for a in batch]
            return {"latency_ms": np.where(np.array(rows) < 0, np.inf, column[rows])}

        return Signals(ahead)


@dataclass(frozen=True)
class Trace:
    """One search: rows of the table in the order of evaluation (-1: not there), seconds of the strategy itself.

    ``wasted`` counts proposals that the table does not have and those over the limit.
    """

    rows: NDArray[np.intp]
    wasted: int
    strategy_s: float


def run(name: str, task: Task, seed: int) -> Trace:
    """One strategy with one seed; proposals that the table does not have count as failed evaluations."""
    answers = task.answers
    objectives = ["quality"] if task.second is None or task.limit is not None else ["quality", "latency_ms"]
    made = strategy(name, answers.space, objectives, task.budget, seed, task.signals)
    rows: list[int] = []
    wasted, spent = 0, 0.0
    for trial in range(task.evaluations):
        start = time.perf_counter()
        asked = made.ask(1)
        spent += time.perf_counter() - start
        if not asked:
            break
        told = results(trial, asked, answers(asked))
        wasted += not all(r.usable and all(r.values[n] <= limit for n, limit in task.budget.items()) for r in told)
        rows += [answers.rows.get(r.architecture.key, -1) for r in told]
        start = time.perf_counter()
        made.tell(told)
        spent += time.perf_counter() - start
    return Trace(np.array(rows, np.intp), wasted, spent)


def regrets(task: Task, rows: NDArray[np.intp]) -> Floats:
    """After each evaluation: how far the score of the best by the objective is from the best score of the table.

    Only what keeps the limit counts; as long as nothing does, the regret is that of the worst score.
    """
    sign = 1 if task.sense == "max" else -1
    signal, score = sign * task.table.column(task.objective), sign * task.table.column(task.score)
    allowed = np.isfinite(signal) & np.isfinite(score)
    if task.second is not None and task.limit is not None:
        allowed &= task.table.column(task.second) <= task.limit
    seen = np.where((rows >= 0) & allowed[rows], signal[rows], -np.inf)
    best = np.maximum.accumulate(seen)
    first = rows[np.array([int(np.argmax(seen >= b)) for b in best], np.intp)] if len(rows) else rows
    found = np.where(np.isfinite(best), score[first], np.nanmin(score))
    regret: Floats = score[allowed].max() - found
    return regret


def covered(task: Task, rows: NDArray[np.intp]) -> float:
    """Hypervolume of what was found over that of the whole table, by score and second objective."""
    assert task.second is not None
    sign = -1 if task.sense == "max" else 1
    values = np.stack([sign * task.table.column(task.score), task.table.column(task.second)], axis=1)
    known = np.isfinite(values).all(axis=1)
    reference = values[known].max(axis=0) + 1e-9
    found = values[rows[rows >= 0]]
    return hypervolume(found[np.isfinite(found).all(axis=1)], reference) / hypervolume(values[known], reference)


def compare(
    task: Task, strategies: Sequence[str], seeds: int, progress: Callable[[str, int], None] | None = None
) -> dict[str, Any]:
    """Every strategy with seeds 0 to ``seeds - 1``; ``random`` is always among them.

    ``{"strategies": [{"strategy", "median_regret", "mean_regret", "p_against_random", "ri", "ri_interval",
    "hypervolume", "wasted", "ms_per_proposal", "regrets", "curve"}], "warnings": […]}``. Raises ``WrongTable`` for a
    column that the table does not have.
    """
    for name in (task.objective, task.score, task.second, task.ahead):
        if name is not None:
            task.table.column(name)
    names = list(dict.fromkeys(["random", *strategies]))
    traces: dict[str, list[Trace]] = {}
    for name in names:
        traces[name] = []
        for seed in range(seeds):
            traces[name].append(run(name, task, seed))
            if progress:
                progress(name, seed + 1)
    base = np.array([regrets(task, t.rows)[-1] for t in traces["random"]])
    warnings = [] if seeds >= ENOUGH else [f"{seeds} seeds are too few to tell methods apart; take {ENOUGH} or more"]
    return {
        "objective": task.objective, "score": task.score, "second": task.second, "evaluations": task.evaluations,
        "seeds": seeds, "warnings": warnings,
        "strategies": [_row(name, task, traces[name], base) for name in names],
    }  # fmt: skip


def _row(name: str, task: Task, traces: Sequence[Trace], base: Floats) -> dict[str, Any]:
    curves = [regrets(task, t.rows) for t in traces]
    last = np.array([curve[-1] for curve in curves])
    top = float(np.nanmax(task.table.column(task.score) * (1 if task.sense == "max" else -1)))
    low, high = interval(top - last, top - base, generator(0, "protocol.bootstrap"))
    length = max(len(curve) for curve in curves)
    padded = np.array([np.pad(curve, (0, length - len(curve)), mode="edge") for curve in curves])
    volumes = [] if task.second is None else [covered(task, t.rows) for t in traces]
    return {
        "strategy": name,
        "median_regret": float(np.median(last)),
        "mean_regret": float(np.mean(last)),
        "p_against_random": 1.0 if name == "random" else better(last, base),
        "ri": relative_improvement(top - last, top - base),
        "ri_interval": [low, high],
        "hypervolume": float(np.median(volumes)) if volumes else None,
        "wasted": float(np.mean([t.wasted for t in traces]) / task.evaluations),
        "ms_per_proposal": 1e3 * float(np.mean([t.strategy_s for t in traces])) / task.evaluations,
        "regrets": last.tolist(),
        "curve": np.median(padded, axis=0).tolist(),
    }
