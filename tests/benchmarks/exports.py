"""Exported networks of every family and of wrapped models: how fast 8 bits are against float, on which kernels, and
how long exporting takes.

    python -m tests.benchmarks.exports [--only vit384,resnet18] [--rounds 3]
    python -m tests.benchmarks.exports --wrapped          # models of timm alone, in their own size
    python -m tests.benchmarks.exports --wrapped --proof  # instead, layers of files against extracted networks

The largest network of each space, with random weights, as float and as 8-bit file, timed in turn on one thread, in
fresh sessions each round (median). ``unintended`` counts layers that run on another kernel than meant.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections import Counter
from functools import partial

from torch import Tensor

from predictors.latency import measure
from predictors.latency.backends import onnxruntime as backend
from spaces.load import from_text
from spaces.randomness import generator
from supernets import Supernet, build, export, extract, wrap
from tests.benchmarks.elastic import FAMILIES
from tests.small import inputs
from tests.supernets.wrapping.forms import compare
from tests.timm_models import SIZES
from tests.timm_models import made as made_model

ASKED = {"resnet3x3": 2.5, "convnet": 2.5, "vit384": 2.2, "resnet18": 2.5}
SIZE, PROOF_SIZE = 224, 64  # of the pictures of models of timm
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
SPACES = {**OWN, **FAMILIES}
PRECISION = "precision: {choice: [float, w8a8], per: layer}\n"


def network(name: str) -> tuple[Supernet, tuple[Tensor, ...]]:
    """The supernet of a space or of a wrapped model, and a batch of inputs."""
    if name in SPACES:
        space = from_text(f"name: {name}{SPACES[name]}{PRECISION}")
        return build(space).eval(), (inputs(space, 8),)
    module, x = made_model(name, None if name == "transformer" else SIZE)
    return wrap(module, x), x


def files(net: Supernet, x: tuple[Tensor, ...]) -> tuple[dict[str, bytes], float, list[str], Counter[str]]:
    """(precision -> model, seconds of the slower export with its proof of kernels, what is unintended, kernels)."""
    space = net.space
    made, seconds, wrong, kernels = {}, 0.0, [], Counter[str]()
    for precision in ("float", "w8a8"):
        start = time.monotonic()
        architecture = space.extreme(max, precision)
        plain = extract(net, architecture, net.calibrate(architecture, [x]))
        made[precision] = export.onnx(plain)
        audit, found = backend.OnnxRuntime().audited(made[precision], plain.layers)
        seconds, wrong, kernels = max(seconds, time.monotonic() - start), wrong + found, Counter(audit.kernels)
    return made, seconds, wrong, kernels


def line(name: str, rounds: int) -> str:
    """One line of the table."""
    made, seconds, wrong, kernels = files(*network(name))
    times: dict[str, list[float]] = {p: [] for p in made}
    for _ in range(rounds):
        found = measure(
            [partial(backend.prepared, m, 1) for m in made.values()], [], clock=backend.OnnxRuntime().clock(1)
        )
        for precision, timing in zip(made, found, strict=True):
            times[precision].append(timing.ms)
    slow, fast = (statistics.median(times[p]) for p in ("float", "w8a8"))
    integer = sum(count for op, count in kernels.items() if op in ("QLinearConv", "QGemm"))
    asked = f">= {ASKED[name]}x" if name in ASKED else "-"
    ran = f"{integer} | {len(wrong)} | {seconds:.1f} s"
    return f"| {name} | {slow:.3f} | {fast:.3f} | {asked} | {slow / fast:.2f}x | {ran} |"


def proof(name: str) -> str:
    """Of a wrapped model: values in 8 bits, those a step off, and layers on other kernels, over four subnets."""
    module, x = made_model(name, None if name == "transformer" else PROOF_SIZE, count=4)
    net = wrap(module, x)
    drawn = [net.space.extreme(pick, "w8a8") for pick in (max, min)]
    compared = off = wrong = 0
    for architecture in [*drawn, *net.space.sample_many(2, generator(0, "benchmark.exports"))]:
        plain = extract(net, architecture, net.calibrate(architecture, [x]))
        wrong += len(backend.OnnxRuntime().audited(export.onnx(plain), plain.layers)[1])
        found = compare(plain, x)
        compared, off = compared + found[0], off + found[1]
    return f"| {name} | {compared:,} | {off} | {wrong} |"


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    known = [*SPACES, *SIZES, "transformer"]
    parser.add_argument("--only", help=f"of {', '.join(known)}")
    parser.add_argument("--wrapped", action="store_true", help="models of timm and torch.nn.Transformer alone")
    parser.add_argument("--proof", action="store_true", help="compare layers of files, of wrapped models")
    parser.add_argument("--rounds", type=int, default=3)
    given = parser.parse_args()
    names = given.only.split(",") if given.only else known[len(SPACES) :] if given.wrapped else known
    if given.proof:
        print("| network | values in 8 bits | a step off | unintended |\n|---|---|---|---|")
        for name in names:
            print(proof(name), flush=True)
        return
    print("| network | float ms | 8-bit ms | asked | faster | integer layers | unintended | export |")
    print("|---|---|---|---|---|---|---|---|")
    for name in names:
        print(line(name, given.rounds), flush=True)


if __name__ == "__main__":
    main()
