"""Strategies against the truth of NAS-Bench-201, and how long they think.

    python tests/benchmarks/strategies.py --accuracy nb201_accuracy.csv --latency nb201_latency_ms.csv [--seeds 20]

The two tables are those of NAS-Bench-201 (columns ``arch_str``, ``cifar10_val_12ep``, ``cifar10_test_200ep``; ``index``
and one latency column per device). Without them only the time of the strategies is measured. Takes about ten minutes.
"""

from __future__ import annotations

import argparse
import csv
import time
from pathlib import Path

import numpy as np

import spaces
from nas.evaluators.tabular import Tabular
from nas.protocol.compare import Task, compare
from nas.protocol.page import as_rows
from nas.report.tables import table
from nas.strategies import Result, strategy
from spaces import Choice, Outline, Space

HEADS = ["strategy", "median regret", "mean regret", "p < random", "RI %", "hypervolume", "wasted", "ms/proposal"]
ONE = ["regularized_evolution", "local_search", "predictor_guided", "mcts", "smbo", "successive_narrowing",
       "low_discrepancy", "nsga2", "optuna:nsga2", "optuna:tpe", "optuna:qmc"]  # fmt: skip
TWO = ["nsga2", "predictor_guided", "optuna:nsga2"]
DEVICES = ("gold_6240", "pixel3", "1080ti_1")


def truth(accuracy: Path, latency: Path) -> Tabular:
    """The tables as one."""
    space = spaces.load("nasbench201")
    with accuracy.open(encoding="utf-8") as a, latency.open(encoding="utf-8") as b:
        times = {row["index"]: row for row in csv.DictReader(b)}
        lines = list(csv.DictReader(a))
    rows = {space.parse(line["arch_str"]).key: i for i, line in enumerate(lines)}
    columns = {n: np.array([float(line[n]) for line in lines]) for n in ("cifar10_val_12ep", "cifar10_test_200ep")}
    columns |= {d: np.array([float(times[line["index"]][d]) for line in lines]) for d in DEVICES}
    return Tabular(space, rows, columns)


def thinking(name: str, space: Space, trials: int, objectives: list[str], block: int = 50) -> float:
    """Milliseconds per proposal, asked and told in blocks, values made up."""
    made, rng, done = strategy(name, space, objectives, {}, 0), np.random.default_rng(0), 0
    start = time.perf_counter()
    while done < trials:
        asked = made.ask(min(block, trials - done))
        values = rng.random((len(asked), len(objectives)))
        made.tell([Result(done + i, a, dict(zip(objectives, v.tolist(), strict=True)))
                   for i, (a, v) in enumerate(zip(asked, values, strict=True))])  # fmt: skip
        done += len(asked)
    return 1e3 * (time.perf_counter() - start) / trials


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--accuracy", type=Path)
    parser.add_argument("--latency", type=Path)
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--trials", type=int, default=5_000, help="of the comparison of the two NSGA-II")
    given = parser.parse_args()
    ofa = spaces.load("ofa_mobilenetv3")
    for name in ("regularized_evolution", "nsga2", "local_search", "predictor_guided"):
        print(f"{name}: {thinking(name, ofa, 300, ['quality']):.2f} ms per proposal on {ofa.name}", flush=True)
    plain = Space("plain", tuple(Choice(f"c{i}", tuple(range(4))) for i in range(40)), Outline((1, 1, 1), 1, ()))
    both = [thinking(name, plain, given.trials, ["quality", "latency_ms"]) for name in ("nsga2", "optuna:nsga2")]
    said = f"nsga2 {both[0]:.3f} ms, optuna:nsga2 {both[1]:.3f} ms per trial of {given.trials}"
    print(f"{said}: {both[1] / both[0]:.0f} times", flush=True)
    if given.accuracy is None or given.latency is None:
        print("skipped: the tables of NAS-Bench-201 were not given")
        return
    data = truth(given.accuracy, given.latency)
    found = compare(Task(data, "cifar10_val_12ep", "cifar10_test_200ep", None, 150), ONE, given.seeds)
    print(table(f"NAS-Bench-201, CIFAR-10, 150 evaluations, {given.seeds} seeds", HEADS, as_rows(found)), flush=True)
    for device in DEVICES:
        found = compare(Task(data, "cifar10_val_12ep", "cifar10_test_200ep", device, 200), TWO, given.seeds)
        print(table(f"and latency on {device}, 200 evaluations", HEADS, as_rows(found)), flush=True)


if __name__ == "__main__":
    main()
