"""Networks from kernels of others, as nn-Meter's files have them: sums of kernels, against networks that were timed.

    python -m tests.benchmarks.kernels [--spaces mobilenet,resnet] [--minutes 3] [--seed 0]

This machine plays the other device: its table of each space of ``tests.benchmarks.latency`` is written as nn-Meter
writes kernels, all of them or every second one, read back, and 24 networks of mixed precisions that were timed as a
whole are predicted; beside that, by our own latency model, which has factors fitted on other networks.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import numpy as np

from nas.stages.kernels import priced
from nas.stages.profile import FITTED, HELD_OUT, MEASURING
from predictors.latency import LatencyModel, Target, fit, networks_to_time, profile
from predictors.latency.kernels import Entry, Kernels, kind, read
from predictors.latency.key import Key
from predictors.latency.plan import distinct_keys
from predictors.metrics import mape, tau, within
from spaces import Space
from spaces.randomness import generator
from tests.benchmarks.latency import space_of
from tests.kernel_files import as_file


def reread(ms: dict[Key, float]) -> Kernels:
    """What is read of what is written."""
    named = as_file(ms).items()
    entries = [Entry(i, k, row["config"], row["latency"]) for k, rows in named for i, row in rows.items()]
    return read("kernels", entries, "ms")


def lines(name: str, space: Space, minutes: float, seed: int) -> list[str]:
    """Of the table: all kernels, half of them, the fitted model."""
    start, target = time.monotonic(), Target()
    fitted = networks_to_time(space, seed, *FITTED[True])
    drawn = [a for a in space.sample_many(4 * HELD_OUT, generator(seed, "benchmark")) if a not in fitted][:HELD_OUT]
    left = 60 * MEASURING * minutes
    table = profile(space, target, [*fitted, *drawn], left=lambda: start + left - time.monotonic())
    judged = [a for a in drawn if a.to_json() in table.networks]
    truth = np.array([table.networks[a.to_json()].ms for a in judged])
    ms = {key: table.rows[str(key)].ms for key in distinct_keys(space, target) if str(key) in table.rows}
    ms = {key: time for key, time in ms.items() if time > 0}
    half = {k: ms[k] for of in sorted(set(map(kind, ms))) for k in [k for k in ms if kind(k) == of][::2]}
    models: dict[str, LatencyModel] = {}
    for what, some in (("all kernels, summed", ms), ("every second kernel, summed", half)):
        models[what] = priced(space, target, reread(some), Path("kernels"))[0]
    fitted = [a for a in fitted if a.to_json() in table.networks]
    models["own table, factors fitted"] = fit(space, table, target.menu, target.batch, fitted)
    found = []
    for what, model in models.items():
        predicted = model.predict(judged)[0]
        near = f"{100 * within(predicted, truth, 0.1):.0f} %"
        bias = f"{100 * (float(np.median(predicted / truth)) - 1):+.1f} %"
        found.append(
            f"| {name} | {what} | {mape(predicted, truth):.1f} % | {near} | {tau(predicted, truth):.2f} | {bias} |"
        )
    return found


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--spaces", default="mobilenet,resnet")
    parser.add_argument("--minutes", type=float, default=3.0)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    print("| space | predicted by | MAPE | within 10 % | tau | median off by |\n|---|---|---|---|---|---|")
    for name in given.spaces.split(","):
        print("\n".join(lines(name, space_of(name), given.minutes, given.seed)), flush=True)


if __name__ == "__main__":
    main()
