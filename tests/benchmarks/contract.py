"""The budget as a contract: many searches with budgets of all sizes, each chosen network timed again by a new process.

    python -m tests.benchmarks.contract [--spaces digits,mobilenet,vit] [--root FOLDER] [--searches 20]
        [--runs runs/benchmarks/contract] [--seed 0] [--busy 0]

FOLDER is that of ``cifar10`` as ``tests/benchmarks/cifar10_npz.py`` reads it; ``mobilenet`` and ``vit`` take 15,000
images of it, a third of them to validate with. Quality must rise with latency, up to networks much slower than drawn
ones: on digits and fashion_mnist the best within a budget is often far below it, and so it is after twelve epochs of
``vit``, when all its networks have learnt the same little, so it takes sixty. Budgets are drawn evenly between the
10 % and the 90 % quantile of the predicted latencies of 2,000 architectures. Each search is a process; what it chose is
then timed in a process of its own, in three fresh sessions, brought to the table's level by the table's anchors, and by
the wall clock, as it comes. ``--busy`` keeps so many more processes computing beside them.

Asked: no median above its budget at the table's level; median slack at most 6 %. Part of a slack is of no use to any
search: what the upper bound lies above the median. ``Quality missed``: how much more
validation quality the best network has, by the score that networks are chosen by, that any of the searches measured
within that budget. Supernet, table and
accuracy predictor of a space are made once, in ``RUNS/SPACE``, by a first search; searches that are done are not
repeated beside as many processes: delete the folder for fresh figures.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from nas.experiment import load
from nas.run import Run
from nas.stages.profile import profiled
from nas.store import Store
from nas.terminal import Progress, Terminal
from nas.verify import Anchors, measured
from spaces.randomness import generator
from tests.benchmarks.cifar10_npz import ROOT, TRAIN, require, unfiltered

DRAWN = 2_000
CALLS = 3_000
PICTURES = 15_000
_DATA = "data: {dataset: images, root: pictures.npz, validation: 0.3}"
_REST = """\
precision: {choice: [float, w8a8], per: layer}
search: {strategy: nsga2, trials: 3000, evaluations: 100, baselines: false, budget: {latency_share: 0.3}}
"""
SPACES = {
    "mobilenet": f"""\
name: mobilenet
{_DATA}
model:
  family: mobilenet
  input: [3, 32, 32]
  classes: 10
  resolution: {{choice: [16, 24, 32]}}
  stem: {{width: 16, activation: relu, stride: 2}}
  stages:
    - {{depth: {{choice: [1, 2]}}, width: {{choice: [8, 16, 24, 32]}}, kernel: {{choice: [3, 5], per: block}},
       expand: {{choice: [2, 4, 6], per: block}}}}
    - {{depth: {{choice: [1, 2, 3]}}, width: {{choice: [16, 24, 32, 48]}}, stride: 2,
       kernel: {{choice: [3, 5], per: block}}, expand: {{choice: [2, 4, 6], per: block}}}}
    - {{depth: {{choice: [1, 2, 3]}}, width: {{choice: [32, 48, 64, 96]}}, stride: 2,
       kernel: {{choice: [3, 5], per: block}}, expand: {{choice: [2, 4, 6], per: block}}}}
  head: [{{width: 128}}]
train: {{epochs: 12}}
{_REST}""",
    "vit": f"""\
name: vit
{_DATA}
model:
  family: vit
  input: [3, 32, 32]
  classes: 10
  patch: 8
  head_dim: 32
  embed: {{choice: [64, 96, 128, 160]}}
  depth: {{choice: [1, 2, 3, 4]}}
  heads: {{choice: [1, 2, 3, 4], per: block}}
  mlp_ratio: {{choice: [1, 2, 3, 4], per: block}}
train: {{epochs: 60}}
{_REST}""",
}


def pictures(root: Path) -> dict[str, np.ndarray[Any, Any]]:
    """The first training images (n, 32, 32, 3) of CIFAR-10, in bytes, and their classes."""
    x, y = unfiltered(root / TRAIN)
    return {"x": x[:PICTURES].transpose(0, 2, 3, 1), "y": y[:PICTURES]}


@dataclass(frozen=True)
class Case:
    """One space: what ``nas search`` is given, and the folder of its runs."""

    name: str
    source: str
    runs: Path
    seed: int

    @classmethod
    def of(cls, name: str, given: argparse.Namespace) -> Case:
        """A space of this file, which is written into the folder, a name of the zoo, or a file."""
        runs = given.runs / Path(name).stem
        runs.mkdir(parents=True, exist_ok=True)
        if name not in SPACES:
            return cls(Path(name).stem, name, runs, given.seed)
        file = runs / f"{name}.yaml"
        if file.exists() and file.read_text(encoding="utf-8") != SPACES[name]:
            raise SystemExit(f"{file}: not the space of this version; delete {runs}, or give another --runs")
        file.write_text(SPACES[name], encoding="utf-8")
        np.savez(runs / "pictures.npz", **pictures(given.root))
        return cls(name, str(file), runs, given.seed)


def searched(case: Case, *options: str) -> dict[str, Any]:
    """Result of one search in its own process; status 3, no network within the budget, is a result too."""
    command = [sys.executable, "-m", "nas.start", "search", case.source, "--runs", str(case.runs), "--json", *options]
    done = subprocess.run([*command, "--seed", str(case.seed)], stdout=subprocess.PIPE, text=True, check=False)
    if done.returncode not in (0, 3):
        raise SystemExit(f"nas search ended with status {done.returncode}")
    return dict(json.loads(done.stdout))


def budgets(case: Case, searches: int) -> list[float]:
    """Evenly drawn between the quantiles, the smallest first."""
    asked = load(case.source)
    progress = Progress(Terminal(quiet=True), "")
    model, _, _ = profiled(asked, case.seed, Store(case.runs / "store"), None, progress)
    drawn = asked.searched.sample_many(DRAWN, generator(case.seed, "benchmark.budgets"))
    low, high = np.quantile(model.predict(drawn)[0], [0.1, 0.9])
    rng = generator(case.seed, "benchmark.contract")
    return sorted(float(value) for value in rng.uniform(low, high, searches))


def again(folder: Path) -> dict[str, float]:
    """Median over fresh sessions of the network that a run chose, in this process: at the table's level, and raw.

    ``wall_ms`` is the plain one of a user: the median call by the wall clock.
    """
    run = Run.open(folder.parent, folder.name)
    asked, result = run.experiment(), run.result()
    assert result is not None
    model, _, _ = profiled(
        asked, int(result["seed"]), run.store, None, Progress(Terminal(quiet=True), ""), run.artefact("profile")
    )
    target = asked.device.target()
    data = (folder / "exports" / result["chosen"] / target.runtime.FILE).read_bytes()
    found = measured({"it": data}, target, Anchors.of(asked.space, model.table, target))
    times = found.sessions_ms["it"]
    raw = [ms * level for ms, level in zip(times, found.levels, strict=True)]
    call = target.runtime.prepared(data, target.threads)
    wall = []
    for _ in range(CALLS):
        start = time.perf_counter()
        call()
        wall.append(time.perf_counter() - start)
    return {
        "ms": statistics.median(times), "raw_ms": statistics.median(raw), "wall_ms": 1e3 * statistics.median(wall),
        "guard": float(result["guard"]),
    }  # fmt: skip


@contextmanager
def company(busy: int) -> Iterator[None]:
    """So many other processes that compute all the while."""
    spin = [sys.executable, "-c", "while True: sum(i * i for i in range(10**6))"]
    others = [subprocess.Popen(spin) for _ in range(busy)]
    try:
        yield
    finally:
        for other in others:
            other.kill()
            other.wait()


def row(case: Case, budget: float, busy: int) -> dict[str, Any]:
    """One search and the measurement after it; kept in a file of the folder, for so many busy processes."""
    known = case.runs / f"contract-busy{busy}-{budget:.9f}.json"
    if known.exists():
        return dict(json.loads(known.read_text()))
    result = searched(case, "--latency-ms", f"{budget:.9f}")
    made: dict[str, Any] = {"budget_ms": budget, "chosen": result["chosen"], "run": result["run"]}
    if result["chosen"]:
        mine = next(f for f in result["finalists"] if f["key"] == result["chosen"])
        made |= {"latency_ms": mine["latency_ms"], "score": mine["score"], "quality": mine["quality"]["supernet"]}
        measured = [*result["finalists"], *result["baselines"]]
        made["known"] = [(f["latency_ms"]["measured_upper"], f["score"], f["quality"]["supernet"]) for f in measured]
        command = [sys.executable, "-m", "tests.benchmarks.contract", "--again", str(case.runs / result["run"])]
        made |= json.loads(subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout)
    known.write_text(json.dumps(made))
    return made


def slack(made: dict[str, Any]) -> float:
    """What the chosen network leaves of its budget, in percent."""
    return 100 * (1 - float(made["ms"]) / float(made["budget_ms"]))


def line(made: dict[str, Any]) -> str:
    """Of the table of a space."""
    budget = made["budget_ms"]
    if not made["chosen"]:
        return f"| {budget:.4f} | none | | | | | | | |"
    latency = made["latency_ms"]
    times = f"{latency['predicted']:.4f} | {latency['measured']:.4f} | {latency['measured_upper']:.4f}"
    times += f" | {made['ms']:.4f} | {made['raw_ms']:.4f} | {made['wall_ms']:.4f}"
    return f"| {budget:.4f} | {times} | {slack(made):.1f} % | {made['quality']:.2f} |"


def missed(made: dict[str, Any], rows: Sequence[dict[str, Any]]) -> float:
    """Validation quality that the best network that any of the searches measured within this budget has more."""
    known = [found for other in rows for upper, *found in other["known"] if upper and upper <= made["budget_ms"]]
    return float(max([*known, [made["score"], made["quality"]]])[1] - made["quality"])


def summary(name: str, rows: Sequence[dict[str, Any]]) -> tuple[str, bool]:
    """(the space's line of the last table, whether both figures are kept)."""
    found = [r for r in rows if r["chosen"]]
    if not found:
        return f"| {name} | {len(rows)} | 0 | | | | | | |", False
    over, wall = (sum(r[key] > r["budget_ms"] for r in found) for key in ("ms", "wall_ms"))
    slacks = [slack(r) for r in found]
    bounds = [100 * (r["latency_ms"]["measured_upper"] / r["latency_ms"]["measured"] - 1) for r in found]
    regret = [missed(r, found) for r in found]
    left = f"{statistics.median(slacks):.1f} % | {min(slacks):.1f} % | {statistics.median(bounds):.1f} %"
    lost = f"{statistics.median(regret):.2f}, {max(regret):.2f}"
    kept = not over and statistics.median(slacks) <= 6
    return f"| {name} | {len(rows)} | {len(found)} | {over} | {wall} | {left} | {lost} |", kept


def judged(case: Case, searches: int, busy: int) -> list[dict[str, Any]]:
    """All searches of a space, a line printed for each."""
    first = case.runs / "first.json"
    if not first.exists():
        first.write_text(json.dumps(searched(case)))  # trains and profiles
    print(f"\n{case.name}\n")
    print("| budget ms | predicted | measured | upper bound | again | raw | wall clock | slack | quality |")
    print("|---|---|---|---|---|---|---|---|---|")
    rows = []
    for budget in budgets(case, searches):
        rows.append(row(case, budget, busy))
        print(line(rows[-1]), flush=True)
    return rows


def main() -> None:
    """Search, measure again, print a table for each space and what they come to; status 1 if a figure is missed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--spaces", default="digits")
    parser.add_argument("--root", type=Path, default=ROOT)
    parser.add_argument("--searches", type=int, default=20)
    parser.add_argument("--runs", type=Path, default=Path("runs/benchmarks/contract"))
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--busy", type=int, default=0)
    parser.add_argument("--again", type=Path, help="time the network that the run in this folder chose, and print JSON")
    given = parser.parse_args()
    if given.again is not None:
        print(json.dumps(again(given.again)))
        return
    names = given.spaces.split(",")
    if set(names) & set(SPACES):
        require(parser, given.root)
    with company(given.busy):
        found = {name: judged(Case.of(name, given), given.searches, given.busy) for name in names}
    print(f"\n{given.busy} busy processes\n")
    print(
        "| space | searches | chosen | over (asked 0) | over by the wall clock | median slack (asked 6 %) "
        "| least slack | upper bound over median | quality missed: median, most |"
    )
    print("|---|---|---|---|---|---|---|---|---|")
    said = [summary(name, rows) for name, rows in found.items()]
    print("\n".join(text for text, _ in said))
    raise SystemExit(0 if all(kept for _, kept in said) else 1)


if __name__ == "__main__":
    main()
