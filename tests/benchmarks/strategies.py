"""Strategies against the truth of published tables, and how long they think.

    python tests/benchmarks/strategies.py --data DIR [--seeds 20] [--only thinking,one,two,budget,gp,others] [--out DIR]

``DIR`` holds ``nb201`` (NAS-Bench-201: ``arch_str``, ``cifar10_val_12ep``, ``cifar10_test_200ep``; one latency column
per device), ``accel_nasbench`` and ``spaceevo``. Without it only the time of the strategies is measured. Fifteen
minutes on two cores; ``--out`` keeps each comparison as JSON, CSV and a page with curves.
"""

from __future__ import annotations

import argparse
import csv
import gzip
import json
import time
from collections import defaultdict
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import spaces
from nas.evaluators import results
from nas.evaluators.tabular import Tabular
from nas.protocol.compare import Task, compare
from nas.protocol.page import as_csv, as_html, as_rows
from nas.protocol.statistics import better, interval, relative_improvement
from nas.report.tables import table
from nas.strategies import Result, Signals, strategy
from predictors.accuracy.trees import TreeEnsemble
from spaces import Architecture, Batch, Choice, Outline, Space
from spaces.randomness import generator

HEADS = ["strategy", "median regret", "mean regret", "p < random", "RI %", "hypervolume", "wasted", "ms/proposal"]
OURS = ["regularized_evolution", "local_search", "predictor_guided", "mcts", "smbo", "successive_narrowing",
        "low_discrepancy", "nsga2"]  # fmt: skip
ONE = [*OURS, "optuna:nsga2", "optuna:nsga3", "optuna:tpe", "optuna:qmc"]
TWO = ["nsga2", "predictor_guided", "optuna:nsga2", "optuna:nsga3"]
DEVICES = ("gold_6240", "pixel3", "1080ti_1")
SIGNAL, TRUTH = "cifar10_val_12ep", "cifar10_test_200ep"
KNOWN = 50  # architectures whose latency a predictor learns from

Answer = Callable[[Sequence[Architecture]], list[Mapping[str, float]]]


def truth(folder: Path) -> Tabular:
    """NAS-Bench-201 as one table, with a predicted latency per device besides."""
    space = spaces.load("nasbench201")
    with (folder / "nb201_accuracy.csv").open() as a, (folder / "nb201_latency_ms.csv").open() as b:
        times = {row["index"]: row for row in csv.DictReader(b)}
        lines = list(csv.DictReader(a))
    architectures = [space.parse(line["arch_str"]) for line in lines]
    columns = {n: np.array([float(line[n]) for line in lines]) for n in (SIGNAL, TRUTH)}
    columns |= {d: np.array([float(times[line["index"]][d]) for line in lines]) for d in DEVICES}
    codes = space.batch(architectures).codes
    counts = np.stack([(codes == op).sum(axis=1) for op in range(5)], axis=1).astype(np.float64)
    known = generator(0, "benchmark.known").choice(len(lines), KNOWN, replace=False)
    for d in DEVICES:  # a line through the numbers of operations
        factors, *_ = np.linalg.lstsq(counts[known], columns[d][known], rcond=None)
        columns[f"{d} predicted"] = counts @ factors
    return Tabular(space, {a.key: i for i, a in enumerate(architectures)}, columns)


def thinking(
    name: str, space: Space, trials: int, objectives: list[str], budget: Mapping[str, float] | None = None
) -> float:
    """Milliseconds per proposal, asked and told in blocks of 50, values made up."""
    made, rng, done = strategy(name, space, objectives, budget or {}, 0), np.random.default_rng(0), 0
    start = time.perf_counter()
    while done < trials:
        asked = made.ask(min(50, trials - done))
        values = rng.random((len(asked), len(objectives)))
        made.tell([Result(done + i, a, dict(zip(objectives, v.tolist(), strict=True)))
                   for i, (a, v) in enumerate(zip(asked, values, strict=True))])  # fmt: skip
        done += len(asked)
    return 1e3 * (time.perf_counter() - start) / trials


def thoughts(trials: int) -> None:
    """Time of the strategies alone, and of the ensemble's predictions."""
    ofa = spaces.load("ofa_mobilenetv3")
    TreeEnsemble.fit(np.zeros((2, 1), np.float32), np.zeros(2), generator(0, "benchmark.imports"))
    for name in ("random", "regularized_evolution", "nsga2", "local_search", "mcts", "predictor_guided"):
        print(f"{name}: {thinking(name, ofa, 300, ['quality']):.2f} ms per proposal on {ofa.name}", flush=True)
    rng = generator(0, "benchmark.votes")
    x = ofa.encode(ofa.sample_many(100_000, rng))
    model = TreeEnsemble.fit(x[:300], rng.random(300), rng)
    start = time.perf_counter()
    model.predict(x)
    print(f"predictions: {len(x)} of {ofa.name} in {time.perf_counter() - start:.2f} s", flush=True)
    plain = Space("plain", tuple(Choice(f"c{i}", tuple(range(4))) for i in range(40)), Outline((1, 1, 1), 1, ()))
    budget = {"latency_ms": 0.5}
    ours, optunas = (
        thinking(name, plain, trials, ["quality", "latency_ms"], budget) for name in ("nsga2", "optuna:nsga2")
    )
    said = f"nsga2 {ours:.3f} ms, optuna:nsga2 {optunas:.3f} ms for each of {trials} trials, 40 choices, a budget"
    print(f"{said}: {optunas / ours:.0f} times", flush=True)


def shown(title: str, task: Task, names: Sequence[str], seeds: int, out: Path | None) -> None:
    """One comparison, printed and kept."""
    found = compare(task, names, seeds)
    print(table(f"{title}, {task.evaluations} evaluations, {seeds} seeds", HEADS, as_rows(found)), flush=True)
    if out is not None:
        stem = out / title.replace(" ", "-").replace(",", "")
        stem.parent.mkdir(parents=True, exist_ok=True)
        stem.with_suffix(".json").write_text(json.dumps(found, indent=2), encoding="utf-8")
        stem.with_suffix(".csv").write_text(as_csv(found), encoding="utf-8")
        stem.with_suffix(".html").write_text(as_html(found), encoding="utf-8")


def best(
    name: str, space: Space, answer: Answer, budget: Mapping[str, float], signals: Signals | None, evaluations: int,
    seed: int,
) -> tuple[float, float]:  # fmt: skip
    """(best quality within the budget, share of evaluations outside) of one search, one proposal at a time."""
    made = strategy(name, space, ["quality"], budget, seed, signals)
    found, outside = -np.inf, 0
    for trial in range(evaluations):
        asked = made.ask(1)
        told = results(trial, asked, answer(asked))
        made.tell(told)
        kept = all(told[0].values[n] <= limit for n, limit in budget.items())
        found, outside = (max(found, told[0].values["quality"]), outside) if kept else (found, outside + 1)
    return found, outside / evaluations


def open_ended(
    title: str, space: Space, answer: Answer, budget: Mapping[str, float], signals: Signals | None, seeds: int
) -> None:
    """Strategies where the best is not known: by relative improvement over random search."""
    names = ["random", "regularized_evolution", "local_search", "predictor_guided", "nsga2", "optuna:tpe"]
    found = {n: np.array([best(n, space, answer, budget, signals, 150, s) for s in range(seeds)]) for n in names}
    rows, base = [], found["random"][:, 0]
    for name, values in found.items():
        low, high = interval(values[:, 0], base, generator(0, "protocol.bootstrap"))
        improvement = f"{relative_improvement(values[:, 0], base):+.2f} [{low:+.2f}, {high:+.2f}]"
        p = "-" if name == "random" else f"{better(-values[:, 0], -base):.2g}"
        rows.append([name, f"{values[:, 0].mean():.3f}", p, improvement, f"{100 * values[:, 1].mean():.1f} %"])
    heads = ["strategy", "mean of the best", "p < random", "RI %", "outside"]
    print(table(f"{title}, 150 evaluations, {seeds} seeds", heads, rows), flush=True)


def accelerators(folder: Path, seeds: int) -> None:
    """Accel-NASBench: accuracy and FPGA latency of 5,138 networks, between which trees answer."""
    with (folder / "accel_nasbench.csv").open() as file:
        lines = [row for row in csv.DictReader(file) if row["latency_zcu102"]]
    names = [n for n in lines[0] if n.startswith("block")]
    values = {n: tuple(sorted({int(row[n]) for row in lines})) for n in names}
    space = Space("accel_nasbench", tuple(Choice(n, v) for n, v in values.items()), Outline((1, 1, 1), 1, ()))
    x = space.encode([space.architecture({n: int(row[n]) for n in names}) for row in lines])
    rng = generator(0, "benchmark.accel")
    models = {
        name: TreeEnsemble.fit(x, np.array([float(row[column]) for row in lines]), rng)
        for name, column in (("quality", "val_top1"), ("latency_ms", "latency_zcu102"))
    }

    def predicted(batch: Batch | Sequence[Architecture], name: str) -> NDArray[np.float64]:
        return models[name].predict(space.encode(batch))[0]

    def answer(asked: Sequence[Architecture]) -> list[Mapping[str, float]]:
        columns = {name: predicted(asked, name) for name in models}
        return [{name: float(column[i]) for name, column in columns.items()} for i in range(len(asked))]

    limit = float(np.median([float(row["latency_zcu102"]) for row in lines]))
    signals = Signals(lambda batch, _: {"latency_ms": predicted(batch, "latency_ms")})
    title = f"Accel-NASBench, top-1 within {limit:.2f} ms on ZCU102"
    open_ended(title, space, answer, {"latency_ms": limit}, signals, seeds)


def spaceevo(folder: Path, seeds: int) -> None:
    """SpaceEvo's blocks: a hyperspace is as good as minus the sum of the mean losses of its blocks."""
    space = spaces.load("spaceevo_mobile")
    parts: dict[tuple[str, ...], list[tuple[float, float]]] = defaultdict(list)
    with gzip.open(folder / "mobilew_block_lut.csv.gz", "rt") as file:
        for row in csv.DictReader(file):
            parts[row["stage"], row["block"], row["window"]].append((float(row["nsr_loss"]), float(row["int8_ms"])))
    means = {part: np.mean(rows, axis=0) for part, rows in parts.items()}
    stages = sorted({stage for stage, _, _ in means})
    windows = [c for c in space.choices if "window" in c.name]
    blocks = [c for c in space.choices if c not in windows]

    def sums(codes: NDArray[np.int16]) -> NDArray[np.float64]:
        at = [space.column[c.name] for c in (*blocks, *windows)]
        return np.array([
            sum(means[stage, str(row[at[i]]), str(row[at[6 + i]])] for i, stage in enumerate(stages)) for row in codes
        ])  # fmt: skip

    def answer(asked: Sequence[Architecture]) -> list[Mapping[str, float]]:
        return [{"quality": -float(loss), "latency_ms": float(ms)} for loss, ms in sums(space.batch(asked).codes)]

    def ahead(batch: Batch, names: Collection[str]) -> dict[str, NDArray[np.float64]]:
        return {"latency_ms": sums(batch.codes)[:, 1]}

    limit = float(np.median(sums(space.sample_many(500, generator(0, "benchmark.limit")).codes)[:, 1]))
    title = f"SpaceEvo's hyperspaces, minus block loss within {limit:.2f} ms"
    open_ended(title, space, answer, {"latency_ms": limit}, Signals(ahead), seeds)


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path)
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--trials", type=int, default=5_000, help="of the comparison of the two NSGA-II")
    parser.add_argument("--only", default="thinking,one,two,budget,gp,others")
    parser.add_argument("--out", type=Path)
    given: Any = parser.parse_args()
    only, seeds, out = given.only.split(","), given.seeds, given.out
    if "thinking" in only:
        thoughts(given.trials)
    if given.data is None:
        print("skipped: the folder of the published tables was not given")
        return
    data = truth(given.data / "nb201")
    if "one" in only:
        shown("NAS-Bench-201, CIFAR-10", Task(data, SIGNAL, TRUTH, None, 150), ONE, seeds, out)
    for device in DEVICES if "two" in only else ():
        shown(f"and latency on {device}", Task(data, SIGNAL, TRUTH, device, 200), TWO, seeds, out)
    for device in DEVICES if "budget" in only else ():
        limit = float(np.median(data.column(device)))
        for ahead in (None, device, f"{device} predicted"):
            task = Task(data, SIGNAL, TRUTH, device, 150, limit=limit, ahead=ahead)
            said = "nothing" if ahead is None else "it" if ahead == device else f"a line through {KNOWN} of them"
            title = f"within {limit:.1f} ms on {device}, {said} known ahead"
            shown(title, task, ["regularized_evolution", "local_search", "nsga2", "predictor_guided"], seeds, out)
    if "gp" in only:
        task = Task(data, SIGNAL, TRUTH, None, 60)
        shown("the Gaussian process", task, ["predictor_guided", "optuna:gp", "optuna:tpe"], 8, out)
    if "others" in only:
        accelerators(given.data / "accel_nasbench", seeds)
        spaceevo(given.data / "spaceevo", seeds)


if __name__ == "__main__":
    main()
