"""Latency on a device that was left out, and on HAT's tables, against the truth of published tables.

    python -m tests.benchmarks.transfer --data DIR [--only fbnet,nb201,hat] [--strict] [--seeds 3]

``DIR`` holds ``fbnet_latency``, ``nb201`` and ``hat_latency``. A family is a device in all its batch sizes; all others
are known, and settings are chosen on them alone. ``--strict`` makes all of NVIDIA's GPUs one family, all Xeons one and
all phones one. Printed per device: Kendall's tau over all networks that were not sampled with 10 and 50 samples, and
the ceiling: linear regression or trees, the better, on 3,000 rows of the device itself. Five minutes on one core.
"""

from __future__ import annotations

import argparse
import csv
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.stats import spearmanr

from nas.report.tables import table
from predictors.latency.regressors import REGRESSORS
from predictors.latency.transfer import Prior, settings_for
from predictors.metrics import mape, tau
from spaces.randomness import generator

Floats = NDArray[np.float64]

COUNTS = (10, 50)
ASKED = {"fbnet": (0.80, 0.83), "nb201": (0.86, 0.875)}
OWN_ROWS = 3000
KIND = {"1080ti": "gpu", "2080ti": "gpu", "titanx": "gpu", "titanxp": "gpu", "silver": "xeon", "gold": "xeon",
        "essential": "phone", "pixel2": "phone", "pixel3": "phone", "samsung": "phone", "fpga": "fpga"}  # fmt: skip


def published(data: Path, name: str) -> tuple[list[str], Floats, Floats]:
    """(devices, times in ms (n, devices), one-hot operations (n, d)) of ``fbnet`` or ``nb201``; raw cells."""
    file = {"fbnet": "fbnet_latency/fbnet_latency_ms.csv", "nb201": "nb201/nb201_latency_ms.csv"}[name]
    with (data / file).open() as stream:
        rows = list(csv.DictReader(stream))
    texts = [row["ops"] for row in rows] if name == "fbnet" else _cells(data, [row["index"] for row in rows])
    digits = np.array([[int(c) for c in text] for text in texts])
    hot = np.eye(digits.max() + 1)[digits].reshape(len(digits), -1)
    devices = [d for d in rows[0] if d not in ("index", "ops")]
    return devices, np.array([[float(row[d]) for d in devices] for row in rows]), hot


def _cells(data: Path, indices: Sequence[str]) -> list[str]:
    with (data / "nb201/nb201_accuracy.csv").open() as stream:
        ops = {row["index"]: row["ops"] for row in csv.DictReader(stream)}
    return [ops[i] for i in indices]


def family(device: str, strict: bool) -> str:
    """The family of a device: itself in all batch sizes, or its kind."""
    if strict:
        return KIND[device.split("_")[0]]
    return device.rsplit("_", 1)[0] if device.startswith(("1080", "2080", "titan")) else device


def ceiling(hot: Floats, ms: Floats, seed: int) -> float:
    """Tau of a model on rows of the device itself: linear or trees, the better."""
    order = generator(seed, "benchmark.ceiling").permutation(len(ms))
    seen, unseen = order[:OWN_ROWS], order[OWN_ROWS:]
    made = [REGRESSORS[n].fit(hot[seen], ms[seen], generator(seed, "benchmark.fit")) for n in ("linear", "trees")]
    return max(tau(model.predict(hot[unseen]), ms[unseen]) for model in made)


def transfer(name: str, data: Path, strict: bool, seeds: int) -> None:
    """Leave each family out in turn, and print the table."""
    devices, ms, hot = published(data, name)
    families = [family(d, strict) for d in devices]
    lines, values = [], []
    for left_out in dict.fromkeys(families):
        known = [j for j, f in enumerate(families) if f != left_out]
        names = [families[j] for j in known]
        chosen = settings_for(hot, ms[:, known], names, COUNTS)
        priors = [Prior.of(hot, ms[:, known], names, s) for s in chosen]
        picks = [[p.choose(m, seed) for seed in range(seeds)] for p, m in zip(priors, COUNTS, strict=True)]
        for target in (j for j, f in enumerate(families) if f == left_out):
            found = [[_judged(p, rows, ms[:, target]) for rows in pick] for p, pick in zip(priors, picks, strict=True)]
            best = ceiling(hot, ms[:, target], 0)
            values.append([*(np.mean(f) for f in found), best])
            lines.append([devices[target], *_shown(values[-1]), *(f"{np.ptp(f):.3f}" for f in found)])
    lines.append(["mean", *_shown(np.mean(values, axis=0)), "", ""])
    taus, rest = [f"tau {m}" for m in COUNTS], [f"{what} {m}" for what in ("share", "range") for m in COUNTS]
    print(table(name, ["device", *taus, "ceiling", *rest], lines))
    print(f"asked of the mean: {ASKED[name]}; families: {', '.join(dict.fromkeys(families))}\n", flush=True)


def hat(data: Path, seeds: int) -> None:
    """Regressors on HAT's tables, 80 % seen and 20 % judged; ``linear`` is what is to be beaten."""
    lines = []
    for file in sorted((data / "hat_latency").glob("*.csv")):
        with file.open() as stream:
            rows = np.array(list(csv.reader(stream))[1:], np.float64)
        features, ms, found = rows[:, :10], rows[:, 10] + rows[:, 11], []
        for seed in range(seeds):
            order = generator(seed, "benchmark.hat").permutation(len(rows))
            seen, unseen = np.split(order, [int(0.8 * len(rows))])
            made = [r.fit(features[seen], ms[seen], generator(seed, "benchmark.fit")) for r in REGRESSORS.values()]
            predicted = [m.predict(features[unseen]) for m in made]
            found.append([(spearmanr(p, ms[unseen]).statistic, mape(p, ms[unseen])) for p in predicted])
        lines.append([file.stem.removesuffix("_all"), *(f"{s:.4f} {m:.2f}" for s, m in np.mean(found, axis=0))])
    print(table("hat: Spearman, MAPE in %", ["table", *REGRESSORS], lines), flush=True)


def _judged(prior: Prior, rows: NDArray[np.intp], ms: Floats) -> float:
    unseen = np.delete(np.arange(len(ms)), rows)
    return tau(prior.predict(rows, ms[rows])[unseen], ms[unseen])


def _shown(value: Sequence[float] | Floats) -> list[str]:
    *found, best = value
    return [*(f"{v:.3f}" for v in value), *(f"{v / best:.0%}" for v in found)]


def main() -> None:
    """Read the arguments and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--only", default="fbnet,nb201,hat")
    parser.add_argument("--strict", action="store_true")
    parser.add_argument("--seeds", type=int, default=3)
    asked = parser.parse_args()
    for name in asked.only.split(","):
        start = time.perf_counter()
        if name == "hat":
            hat(asked.data, asked.seeds)
        else:
            transfer(name, asked.data, asked.strict, asked.seeds)
        print(f"{time.perf_counter() - start:.0f} s")


if __name__ == "__main__":
    main()
