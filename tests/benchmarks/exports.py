"""Exported networks of every family: how fast 8 bits are against float, on which kernels, and how long exporting takes.

    python -m tests.benchmarks.exports [--only vit384,resnet] [--rounds 3]

The largest network of each space, with random weights, as float and as 8-bit file, timed in turn on one thread, in
fresh sessions each round (median). ``unintended`` counts layers that run on another kernel than meant.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections import Counter
from functools import partial

from predictors.latency import measure
from predictors.latency.backends import onnxruntime as backend
from spaces import Space
from spaces.load import from_text
from supernets import build, export, extract
from tests.benchmarks.elastic import FAMILIES
from tests.small import inputs

ASKED = {"resnet3x3": 2.5, "convnet": 2.5, "vit384": 2.2}
OWN = {
    "resnet3x3": """
model:
  family: resnet
  input: [3, 64, 64]
  classes: 10
  stem: {width: 32, kernel: 3, stride: 2}
  stem_pool: false
  stages: [{depth: 2, width: 64}, {depth: 2, width: 128, stride: 2}, {depth: 2, width: 256, stride: 2}]
""",
    "vit384": """
model:
  {family: vit, input: [3, 64, 64], classes: 100, patch: 8, head_dim: 64, embed: 384, depth: 4, heads: 6, mlp_ratio: 4}
""",
}
PRECISION = "precision: {choice: [float, w8a8], per: layer}\n"


def files(space: Space) -> tuple[dict[str, bytes], float, list[str], Counter[str]]:
    """(precision -> model, seconds of the slower export with its proof of kernels, what is unintended, kernels)."""
    net, x = build(space).eval(), inputs(space, 8)
    made, seconds, wrong, kernels = {}, 0.0, [], Counter[str]()
    for precision in ("float", "w8a8"):
        start = time.monotonic()
        architecture = space.extreme(max, precision)
        plain = extract(net, architecture, net.calibrate(architecture, [x]))
        made[precision] = export.onnx(plain)
        audit, found = backend.audited(made[precision], plain.layers)
        seconds, wrong, kernels = max(seconds, time.monotonic() - start), wrong + found, Counter(audit.kernels)
    return made, seconds, wrong, kernels


def line(name: str, text: str, rounds: int) -> str:
    """One line of the table."""
    made, seconds, wrong, kernels = files(from_text(f"name: {name}{text}{PRECISION}"))
    times: dict[str, list[float]] = {p: [] for p in made}
    for _ in range(rounds):
        found = measure([partial(backend.prepared, m, 1) for m in made.values()], [], clock=backend.clock(1))
        for precision, timing in zip(made, found, strict=True):
            times[precision].append(timing.ms)
    slow, fast = (statistics.median(times[p]) for p in ("float", "w8a8"))
    integer = sum(count for op, count in kernels.items() if op in ("QLinearConv", "QGemm"))
    asked = f">= {ASKED[name]}x" if name in ASKED else "-"
    ran = f"{integer} | {len(wrong)} | {seconds:.1f} s"
    return f"| {name} | {slow:.3f} | {fast:.3f} | {asked} | {slow / fast:.2f}x | {ran} |"


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    spaces = {**OWN, **FAMILIES}
    parser.add_argument("--only", default=",".join(spaces))
    parser.add_argument("--rounds", type=int, default=3)
    given = parser.parse_args()
    print("| network | float ms | 8-bit ms | asked | faster | integer layers | unintended | export |")
    print("|---|---|---|---|---|---|---|---|")
    for name in given.only.split(","):
        print(line(name, spaces[name], given.rounds), flush=True)


if __name__ == "__main__":
    main()
