"""What a quantization-aware step costs against a step of the same network in float: processor time, saved memory.

    python -m tests.benchmarks.quantization [--full] [--network NAME ...] [--precision NAME ...]

A step is forward, loss, backward and optimiser, on one thread. The steps of the precisions take turns with those in
float; the table shows the ratio of the medians of process time, and that of the bytes of the parameters and of what is
allocated in a forward pass and still there before the backward pass. All layers are quantized, first and last too.
``--full``: larger inputs, more turns. ``--eager``: without compiled kernels, which need a C++ compiler.
"""

from __future__ import annotations

import argparse
import statistics
import time

import torch
from torch import Tensor
from torch.nn import functional as F
from torch.profiler import ProfilerActivity, profile

from spaces.load import from_text
from supernets import Supernet, build
from supernets.quantization import kernels
from supernets.training.recipe import Recipe, optimiser_of

COMPUTED, LEARNED = "computed", "learned"
PRECISIONS = {"w8a8": COMPUTED, "w4a8": COMPUTED, "w4a4": COMPUTED, "w4-lsq/a4-lsqplus": LEARNED}
LIMITS = {COMPUTED: 1.25, LEARNED: 1.35}
MEMORY_LIMIT = 1.25
NETWORKS = {
    "resnet18": """
model:
  family: resnet
  block: basic
  input: [3, {size}, {size}]
  classes: 100
  stem: {{width: 64, kernel: 3, stride: 1}}
  stem_pool: false
  stages:
    - {{depth: 2, width: 64}}
    - {{depth: 2, width: 128, stride: 2}}
    - {{depth: 2, width: 256, stride: 2}}
    - {{depth: 2, width: 512, stride: 2}}
""",
    "mobilenet_v2": """
model:
  family: mobilenet
  input: [3, {size}, {size}]
  classes: 100
  stem: {{width: 32, activation: relu6}}
  stages:
    - {{width: 16, activation: relu6}}
    - {{depth: 2, width: 24, expand: 6, stride: 2, activation: relu6}}
    - {{depth: 3, width: 32, expand: 6, stride: 2, activation: relu6}}
    - {{depth: 4, width: 64, expand: 6, stride: 2, activation: relu6}}
    - {{depth: 3, width: 96, expand: 6, activation: relu6}}
    - {{depth: 3, width: 160, expand: 6, stride: 2, activation: relu6}}
    - {{depth: 1, width: 320, expand: 6, activation: relu6}}
  head: [{{width: 1280, activation: relu6}}]
""",
}
SIZES = {"resnet18": (32, 32, 64), "mobilenet_v2": (64, 96, 32)}
"""Network -> (pixels, pixels with ``--full``, images per step)."""


class Stepper:
    """Steps of a network of one precision."""

    def __init__(self, network: str, precision: str, size: int, batch: int, compiled: bool) -> None:
        text = NETWORKS[network].format(size=size)
        self.net: Supernet = build(from_text(f"{text}precision: {precision}\n")).train()
        self.net.kernels = kernels.compiled() if compiled else kernels.EAGER
        self.architecture = self.net.space.largest
        self.optimiser = optimiser_of(self.net, Recipe())
        draws = torch.Generator().manual_seed(0)
        self.x = torch.randn(batch, 3, size, size, generator=draws)
        self.labels = torch.randint(0, 100, (batch,), generator=draws)

    def loss(self) -> Tensor:
        """Of the batch, which stays the same."""
        with self.net.active(self.architecture):
            return F.cross_entropy(self.net(self.x), self.labels)

    def step(self) -> float:
        """Seconds of process time of one step."""
        start = time.process_time()
        self.optimiser.zero_grad()
        self.loss().backward()  # type: ignore[no-untyped-call]
        self.optimiser.step()
        return time.process_time() - start

    def saved_bytes(self) -> int:
        """The parameters, and what a forward pass allocates and does not give back before the backward pass."""
        self.optimiser.zero_grad()
        with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as seen:
            loss = self.loss()
        kept = sum(event.self_cpu_memory_usage for event in seen.key_averages())
        del loss
        return kept + sum(p.untyped_storage().nbytes() for p in self.net.parameters())


def measure(network: str, precisions: list[str], turns: int, full: bool, compiled: bool) -> None:
    """Print a row per precision."""
    small, large, batch = SIZES[network]
    size = large if full else small
    steppers = {name: Stepper(network, name, size, batch, compiled) for name in ["float", *precisions]}
    seconds: dict[str, list[float]] = {name: [] for name in steppers}
    for turn in range(turns + 1):
        for name, stepper in steppers.items():
            used = stepper.step()
            if turn:  # the first one warms up
                seconds[name].append(used)
    memory = {name: stepper.saved_bytes() for name, stepper in steppers.items()}
    base = statistics.median(seconds["float"])
    about = f"{network}, {batch} images of {size}x{size}, {turns} turns"
    print(f"{about}: float {base:.3f} s, {memory['float'] / 2**20:.0f} MiB")
    for name in precisions:
        kind = PRECISIONS.get(name, COMPUTED)
        ratio, kept = statistics.median(seconds[name]) / base, memory[name] / memory["float"]
        print(
            f"  {name:24} {kind:9} step {ratio:.3f}x (at most {LIMITS[kind]}x), "
            f"saved memory {kept:.3f}x (at most {MEMORY_LIMIT}x)"
        )


def main() -> None:
    """Measure what is asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--full", action="store_true")
    parser.add_argument("--network", nargs="*", choices=list(NETWORKS), default=list(NETWORKS))
    parser.add_argument("--precision", nargs="*", default=list(PRECISIONS))
    parser.add_argument("--eager", action="store_true", help="without compiled kernels")
    parser.add_argument("--turns", type=int, default=None)
    asked = parser.parse_args()
    torch.set_num_threads(1)
    for network in asked.network:
        measure(network, asked.precision, asked.turns or (31 if asked.full else 9), asked.full, not asked.eager)


if __name__ == "__main__":
    main()
