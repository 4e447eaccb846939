"""Searching for the device in 8 bits, against searching in float and then going to 8 bits (the effect of SpaceEvo).

    python -m tests.benchmarks.low_bits_first --root FOLDER [--seeds 0] [--shares 0.15] [--epochs 8]
        [--examples 10000] [--runs runs/benchmarks/low_bits]

FOLDER is that of ``fashion_mnist``. One supernet of mobile networks (inverted and fused blocks, kernels, widths,
expansions, depths; all layers float, or all in 8 bits) is trained, its kernels are timed and an accuracy predictor is
fitted. Widths go by fours and expansions are 3, 4 and 6, as in the mobile spaces of the literature: an 8-bit depthwise
kernel wants multiples of 16 channels, a float one does not care. Both sides search alike: of 40,000 networks, half
drawn, half bred (NSGA-II on predictions), the 12 of the best predicted quality within a latency are evaluated in the
supernet, and the most accurate is taken.

- float first: within a share (``--shares``) of the largest float network's latency in float; then it is taken to 8
  bits as it is;
- 8 bits first: within less and less than the latency of that network in 8 bits, as long as the one found is as
  accurate in 8 bits as that network, to 0.3 points.

Both are exported, proved, timed side by side in fresh sessions, and tested on images that nobody has seen.
Asked: at least 1.5 times as fast, accuracy within 0.3 points, 3 seeds (Wang et al. 2023, SpaceEvo, section 2). What a
seed found is kept in the folder of the runs. About half an hour a seed.
"""

from __future__ import annotations

import argparse
import json
import statistics
from collections.abc import Callable, Sequence
from functools import partial
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from nas.deliver import deliver, run_file
from nas.experiment import Experiment
from nas.store import Store
from nas.strategies import Result, strategy
from nas.strategies.nsga2 import POPULATION
from nas.verify import Anchors, Measurements, measured
from spaces import Architecture, Batch
from spaces.randomness import generator, seed_for
from tests.benchmarks.common import experiment, prepared

SPACE = """\
name: low_bits_first
data: {{dataset: fashion_mnist, root: {root}, batch: 128, limit: {examples}}}
model:
  family: mobilenet
  stem: {{width: 16, stride: 2}}
  stages:
    - depth: {{choice: [1, 2, 3]}}
      width: {{choice: [12, 16, 20, 24]}}
      kernel: {{choice: [3, 5], per: block}}
      expand: {{choice: [3, 4, 6], per: block}}
      block: {{choice: [inverted, fused], per: block}}
    - depth: {{choice: [1, 2, 3]}}
      width: {{choice: [24, 28, 32, 40, 48]}}
      stride: 2
      kernel: {{choice: [3, 5], per: block}}
      expand: {{choice: [3, 4, 6], per: block}}
      block: {{choice: [inverted, fused], per: block}}
  head: [{{width: 64}}]
precision: {{choice: [float, w8a8], per: network}}
train: {{epochs: {epochs}}}
search: {{budget: {{latency_share: 0.3}}, evaluations: 200}}
"""
DRAWN, BRED, TRIED = 10_000, 20_000, 12
STEP = 1.1
ALLOWED = 0.3  # points of validation accuracy that count as none
Row = dict[str, Any]
Floats = NDArray[np.float64]


class Side:
    """What both searches share: predictions, and validation accuracy in the supernet."""

    def __init__(self, asked: Experiment, seed: int, store: Store) -> None:
        self.asked, self.seed, self.space = asked, seed, asked.space
        self.evaluate, self.predict = prepared(asked, seed, store)
        self._known: dict[str, float] = {}
        self._drawn: dict[str, tuple[Batch, Floats, Floats]] = {}

    def accuracy(self, architecture: Architecture) -> float:
        """On the validation images, in percent."""
        if architecture.key not in self._known:
            self._known[architecture.key] = self.evaluate(architecture).accuracy
        return self._known[architecture.key]

    def drawn(self, precision: str) -> tuple[Batch, Floats, Floats]:
        """(networks of one precision, their predicted latencies in milliseconds, predicted qualities)."""
        if precision not in self._drawn:
            self._drawn[precision] = self._draw(precision)
        return self._drawn[precision]

    def _draw(self, precision: str) -> tuple[Batch, Floats, Floats]:
        space = self.space.restrict({precision})
        rng = generator(self.seed, f"benchmark.low bits.{precision}")
        found = [a for by_choice in (False, True) for a in space.sample_many(DRAWN, rng, by_choice=by_choice)]
        breeding = strategy("nsga2", space, ["quality", "latency_ms"], {}, seed_for(self.seed, "benchmark.low bits"))
        for trial in range(0, BRED, POPULATION):
            asked = breeding.ask(POPULATION)
            values = self.predict(asked)
            breeding.tell([Result(trial + i, *pair) for i, pair in enumerate(zip(asked, values, strict=True))])
            found += asked
        batch = self.space.batch(list(dict.fromkeys(found)))
        return batch, self.predict.latency.predict(batch)[0], self.predict.accuracy.predict(batch)[0]

    def best(self, precision: str, limit_ms: float) -> Architecture:
        """The most accurate network of this precision within a predicted latency."""
        batch, latency, quality = self.drawn(precision)
        within = np.flatnonzero(latency <= limit_ms)
        ahead = within[np.argsort(-quality[within])[:TRIED]]
        return max((batch[int(i)] for i in ahead), key=self.accuracy)

    def latency_ms(self, architecture: Architecture) -> float:
        """As predicted."""
        return float(self.predict.latency.predict([architecture])[0][0])


def effect(given: argparse.Namespace, seed: int, share: float) -> Row:
    """Both searches of a seed, and what came of them."""
    asked = experiment(
        SPACE.format(root=json.dumps(str(given.root.resolve())), epochs=given.epochs, examples=given.examples)
    )
    side = Side(asked, seed, Store(given.runs / "store"))
    in_float = side.best("float", share * side.latency_ms(side.space.largest))
    low = searched = side.space.architecture({**in_float, "precision": "w8a8"})
    limit = side.latency_ms(low)
    while side.accuracy(searched) >= side.accuracy(low) - ALLOWED:
        kept_so_far, limit = searched, limit / STEP
        searched = side.best("w8a8", limit)
    searched = kept_so_far
    networks = {"float first": low, "8 bits first": searched}
    models = {
        name: deliver(asked, side.evaluate, a, given.runs / f"seed{seed}-{share}").model for name, a in networks.items()
    }
    target = asked.device.target()
    times = Measurements()
    times.add(measured(models, target, Anchors.of(side.space, side.predict.latency.table, target)))
    split, quality = side.evaluate.dataset.test, side.evaluate.dataset.task.quality
    row: Row = {"seed": seed, "share": share, "float ms": side.latency_ms(in_float)}
    for name, architecture in networks.items():
        logits = run_file(models[name], split.images.numpy(), target)
        row[name] = {
            "ms": times.median_ms(name), "validation": side.accuracy(architecture),
            "test": quality(torch.from_numpy(logits), split.labels).accuracy,
            "architecture": dict(architecture),
        }  # fmt: skip
    return row


def shown(row: Row) -> str:
    """A line of the table."""
    sides = a, b = row["float first"], row["8 bits first"]
    faster = f"{row['float ms']:.4f} | {a['ms']:.4f} | {b['ms']:.4f} | {a['ms'] / b['ms']:.2f}x"
    points = " | ".join(", ".join(f"{side[split]:.2f}" for side in sides) for split in ("validation", "test"))
    return f"| {row['seed']} | {row['share']} | {faster} | {points} |"


def kept(path: Path, compute: Callable[[], Row]) -> Row:
    """What is in this file; computed and written if it is not there."""
    if not path.exists():
        path.write_text(json.dumps(compute()))
    return dict(json.loads(path.read_text()))


def main(arguments: Sequence[str] | None = None) -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--root", type=Path, required=True)
    parser.add_argument("--seeds", default="0", help="such as 0,1,2")
    parser.add_argument("--shares", default="0.15", help="of the largest float network's latency, such as 0.15,0.4")
    parser.add_argument("--epochs", type=int, default=8)
    parser.add_argument("--examples", type=int, default=10_000)
    parser.add_argument("--runs", type=Path, default=Path("runs/benchmarks/low_bits"))
    given = parser.parse_args(arguments)
    given.runs.mkdir(parents=True, exist_ok=True)
    heads = "float first, in float, ms | in 8 bits, ms | 8 bits first, ms | faster | validation, % | test, %"
    print(f"| seed | share | {heads} |")
    print("|---|---|---|---|---|---|---|---|")
    rows = []
    for seed, share in product(map(int, given.seeds.split(",")), map(float, given.shares.split(","))):
        path = given.runs / f"seed{seed}-{share}-{given.examples}-{given.epochs}.json"
        rows.append(kept(path, partial(effect, given, seed, share)))
        print(shown(rows[-1]), flush=True)
    ratio = statistics.mean(row["float first"]["ms"] / row["8 bits first"]["ms"] for row in rows)
    apart = statistics.mean(row["8 bits first"]["test"] - row["float first"]["test"] for row in rows)
    print(f"\nmean: {ratio:.2f} times as fast (asked 1.5), {apart:+.2f} points on test images (asked -0.3)")


if __name__ == "__main__":
    main()
