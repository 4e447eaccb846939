"""Strategies side by side on a table, at equal numbers of evaluations."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nas.pareto import hypervolume
from nas.protocol.statistics import ENOUGH, better, interval, relative_improvement
from nas.protocol.tables import Tabular
from nas.strategies import Result, strategy
from spaces.randomness import generator

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Task:
    """What is searched for: the ``objective`` column is what strategies see, the ``score`` column the truth.

    ``second`` is another objective, to be minimised. ``sense`` is that of objective and score.
    """

    table: Tabular
    objective: str
    score: str
    second: str | None
    evaluations: int
    sense: str = "max"


@dataclass(frozen=True)
class Trace:
    """One search: rows of the table in the order of evaluation, wasted proposals, seconds of the strategy itself."""

    rows: NDArray[np.intp]
    wasted: int
    strategy_s: float


def run(name: str, task: Task, seed: int) -> Trace:
    """One strategy with one seed; proposals that the table does not have count as failed evaluations."""
    names = ["quality"] if task.second is None else ["quality", "latency_ms"]
    made = strategy(name, task.table.space, names, {}, seed)
    signal = task.table.column(task.objective) * (1 if task.sense == "max" else -1)
    second = None if task.second is None else task.table.column(task.second)
    rows: list[int] = []
    wasted, spent = 0, 0.0
    for trial in range(task.evaluations):
        start = time.perf_counter()
        asked = made.ask(1)
        spent += time.perf_counter() - start
        if not asked:
            break
        row = task.table.rows.get(asked[0].key)
        if row is None:
            wasted += 1
            result = Result(trial, asked[0], {}, "failed", "not in the table")
        else:
            rows.append(row)
            values = {"quality": float(signal[row]), **({} if second is None else {"latency_ms": float(second[row])})}
            result = Result(trial, asked[0], values)
        start = time.perf_counter()
        made.tell([result])
        spent += time.perf_counter() - start
    return Trace(np.array(rows, np.intp), wasted, spent)


def regrets(task: Task, rows: NDArray[np.intp]) -> Floats:
    """After each evaluation: how far the score of the best by the objective is from the best score of the table."""
    sign = 1 if task.sense == "max" else -1
    signal, score = sign * task.table.column(task.objective), sign * task.table.column(task.score)
    best = np.maximum.accumulate(signal[rows]) if len(rows) else np.empty(0)
    first = np.array([int(np.argmax(signal[rows] >= b)) for b in best], np.intp)
    found: Floats = np.nanmax(score) - score[rows][first]
    return found


def covered(task: Task, rows: NDArray[np.intp]) -> float:
    """Hypervolume of what was found over that of the whole table, by score and second objective."""
    assert task.second is not None
    sign = -1 if task.sense == "max" else 1
    values = np.stack([sign * task.table.column(task.score), task.table.column(task.second)], axis=1)
    values = values[~np.isnan(values).any(axis=1)] if np.isnan(values).any() else values
    reference = values.max(axis=0) + 1e-9
    return hypervolume(values[rows], reference) / hypervolume(values, reference)


def compare(
    task: Task, strategies: Sequence[str], seeds: int, progress: Callable[[str, int], None] | None = None
) -> dict[str, Any]:
    """Every strategy with seeds 0 to ``seeds - 1``; ``random`` is always among them.

    ``{"strategies": [{"strategy", "median_regret", "mean_regret", "p_against_random", "ri", "ri_interval",
    "hypervolume", "wasted", "ms_per_proposal", "regrets", "curve"}], "warnings": […]}``. Raises ``WrongTable`` for a
    column that the table does not have.
    """
    for name in (task.objective, task.score, *([] if task.second is None else [task.second])):
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
