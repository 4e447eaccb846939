"""The expected latency under a relaxation: what a training step pays for it, and how far it is from the mean of draws.

    python -m tests.benchmarks.expected [--spaces mobilenet,vit] [--minutes 1] [--draws 20000] [--seed 0]

Each space is profiled on this device first, so that factors and times are real. At uniform weights: seconds to make
the tables, milliseconds of a call with and without its gradient (median of 50), and its difference from the mean
prediction of architectures drawn choice by choice, beside the standard error of that mean. A difference beyond it is
that of the terms that are no sums over layers, weights beyond the cache above all.
"""

from __future__ import annotations

import argparse
import statistics
import time

import numpy as np
import torch

from nas.stages.profile import MEASURING
from predictors.latency import Target, fit, networks_to_time, profile
from spaces import Batch, Space
from spaces.randomness import generator
from tests.benchmarks.latency import space_of

REPEATS = 50
TARGET = Target()


def drawn(space: Space, n: int, seed: int) -> Batch:
    """Every choice uniform and by itself, those left out whose conditions do not hold."""
    return space.sample_many(n, generator(seed, "benchmark.expected"), by_choice=True)


def line(name: str, space: Space, minutes: float, draws: int, seed: int) -> str:
    """One line of the table."""
    start = time.monotonic()
    networks = networks_to_time(space, seed, 24, 12)
    table = profile(space, TARGET, networks, left=lambda: start + 60 * MEASURING * minutes - time.monotonic())
    networks = [a for a in networks if a.to_json() in table.networks]
    model = fit(space, table, TARGET.menu, TARGET.batch, networks)
    logits = {c.name: torch.zeros(len(c.values), requires_grad=True) for c in space.choices}
    start = time.monotonic()
    found = float(model.expected({n: torch.softmax(x, 0) for n, x in logits.items()}).detach())
    tables = time.monotonic() - start
    forward, whole = [], []
    for _ in range(REPEATS):
        start = time.perf_counter()
        ms = model.expected({n: torch.softmax(x, 0) for n, x in logits.items()})
        forward.append(1e3 * (time.perf_counter() - start))
        ms.backward()  # type: ignore[no-untyped-call]
        whole.append(1e3 * (time.perf_counter() - start))
    times = model.predict(drawn(space, draws, seed))[0]
    error = 100 * times.std() / np.sqrt(draws) / times.mean()
    difference = 100 * (found / times.mean() - 1)
    calls = f"{statistics.median(forward):.1f} | {statistics.median(whole):.1f}"
    weights = f"{', '.join(f'{ms:.3f}' for ms in model.ms_per_mib)}"
    return f"| {name} | {tables:.1f} s | {calls} | {found:.3f} | {difference:+.2f} % | {error:.2f} % | {weights} |"


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--spaces", default="mobilenet,vit")
    parser.add_argument("--minutes", type=float, default=1.0)
    parser.add_argument("--draws", type=int, default=20_000)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    print(
        "| space | tables | call, ms | and gradient, ms | expected, ms | from draws | their error | weights, ms/MiB |"
    )
    print("|---|---|---|---|---|---|---|---|")
    for name in given.spaces.split(","):
        print(line(name, space_of(name), given.minutes, given.draws, given.seed), flush=True)


if __name__ == "__main__":
    main()
