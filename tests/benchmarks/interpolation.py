"""How well times of keys that were not measured are predicted from those that were, by kriging and by other methods.

    python -m tests.benchmarks.interpolation [--spaces digits,bignas,ofa_mobilenetv3] [--table FILE --spaces ONE]
        [--minutes 20] [--seeds 3]

Rows are measured first (for so many minutes at most), or read from a table that ``nas profile --out`` wrote. Then a
share of them, drawn at random, is what is known, and the others are predicted. Errors are of the time of a call, that
of an empty one included, as it was timed: rows of a microsecond are not.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from predictors.latency import Table, Target, profile
from predictors.latency.amounts import amounts
from predictors.latency.interpolation import Interpolation
from predictors.latency.key import Key
from predictors.latency.plan import distinct_keys
from predictors.latency.regressors import REGRESSORS
from predictors.metrics import mape
from spaces import Space
from spaces.load import from_text, load
from spaces.randomness import generator
from tests.benchmarks.latency import SPACES

Floats = NDArray[np.float64]
METHODS = ("kriging", "lookup", "linear in logs", "trees", "mlp")
SHARES = (0.125, 0.25, 0.5)


def features(keys: list[Key]) -> Floats:
    """(n, d): sizes, and which parts kinds have."""
    found = [amounts(key) for key in keys]
    parts = sorted({part for a in found for part in enumerate(a.kind)})
    kinds = np.array([[a.kind[i] == value for i, value in parts] for a in found], np.float64)
    return np.hstack([np.array([a.sizes for a in found]), kinds])


def predicted(method: str, keys: list[Key], ms: Floats, call_ms: float, known: Floats, asked: Floats) -> Floats:
    """Times of the rows ``asked``, that of a call included, from those of the rows ``known``."""
    if method == "kriging":
        found = Interpolation.of([keys[i] for i in known], (ms[known] - call_ms).tolist(), call_ms)
        return found.ms([keys[i] for i in asked]) + call_ms
    x, name = features(keys), method.split()[0]
    target = np.log(ms) if "logs" in method else ms
    level = target.min() - 1  # a regressor gives nothing below zero
    model = REGRESSORS[name].fit(x[known], target[known] - level, generator(0, "benchmark"))
    found = model.predict(x[asked]) + level
    return np.exp(found) if "logs" in method else found


def lines(name: str, keys: list[Key], table: Table, seeds: int) -> list[str]:
    """One line for each method and share."""
    ms = np.array([table.rows[str(key)].ms + table.call_ms for key in keys])
    made = []
    for method in METHODS:
        errors = []
        for share in SHARES:
            drawn = []
            for seed in range(seeds):
                order = generator(seed, "benchmark.known").permutation(len(keys))
                known, asked = np.split(order, [int(share * len(keys))])
                guess = predicted(method, keys, ms, table.call_ms, known, asked)
                off = np.abs(guess - ms[asked])
                drawn.append((mape(guess, ms[asked]), 100 * float(off.sum() / ms.sum())))
            errors.append(" / ".join(f"{value:.1f}" for value in np.mean(drawn, axis=0)))
        made.append(f"| {name}, {len(keys)} rows | {method} | {' | '.join(errors)} |")
    return made


def measured(space: Space, minutes: float) -> Table:
    """The rows of a space, as many as can be timed."""
    end = time.monotonic() + 60 * minutes
    return profile(space, Target(), [space.largest], left=lambda: end - time.monotonic())


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--spaces", default="mobilenet,bignas,ofa_mobilenetv3")
    parser.add_argument("--table", type=Path)
    parser.add_argument("--minutes", type=float, default=20.0)
    parser.add_argument("--seeds", type=int, default=3)
    given = parser.parse_args()
    print(f"| space | method | {' | '.join(f'{100 * share:g} % known' for share in SHARES)} |")
    print("|---|---|---|---|---|")
    for name in given.spaces.split(","):
        space = from_text(f"name: {name}{SPACES[name]}") if name in SPACES else load(name)
        table = (
            Table.from_json(json.loads(given.table.read_text()), name)
            if given.table
            else measured(space, given.minutes)
        )
        keys = [key for key in distinct_keys(space, Target()) if str(key) in table.rows]
        print("\n".join(lines(name, keys, table, given.seeds)), flush=True)


if __name__ == "__main__":
    main()
