"""What a subnet costs inside the supernet, against its extracted twin: forward and backward, memory, selection.

    python -m tests.benchmarks.elastic [--full] [--family NAME ...]
    python -m tests.benchmarks.elastic --equality [--full]

Of each family some random architectures run on one thread, supernet and twin in turn; the table shows the ratio of the
medians, over architectures, and the worst of them. The twin has its batch norms unfolded, as one trains it. Both add
to gradients that are there, as every subnet of a sandwich step but the first does.

``--equality`` compares slices with their extracted networks instead, in double precision: 20 architectures (200 with
``--full``) of every space of the zoo, made small, and of the graphs of the tests.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable

import torch
from torch import Tensor, nn

from spaces.load import from_text
from spaces.randomness import generator
from supernets import build, extract
from tests.examples import with_precision
from tests.small import CHANGES, GRAPHS, inputs, small
from tests.subnets import randomised

FAMILIES = {
    "convnet": """
model:
  family: convnet
  input: [3, 32, 32]
  classes: 10
  stages:
    - {depth: {choice: [1, 2, 3]}, width: {choice: [32, 48, 64]}, kernel: {choice: [3, 5], per: block}, stride: 1}
    - {depth: {choice: [1, 2, 3]}, width: {choice: [64, 96, 128]}, kernel: {choice: [3, 5], per: block}, stride: 2}
""",
    "resnet": """
model:
  family: resnet
  input: [3, 32, 32]
  classes: 10
  stem: {width: 32, kernel: 3, stride: 1}
  stem_pool: false
  stages:
    - {depth: {choice: [1, 2]}, width: {choice: [32, 48, 64]}}
    - {depth: {choice: [1, 2]}, width: {choice: [64, 96, 128]}, stride: 2}
    - {depth: {choice: [1, 2]}, width: {choice: [128, 192, 256]}, stride: 2}
""",
    "mobilenet": """
model:
  family: mobilenet
  input: [3, 64, 64]
  classes: 100
  stem: {width: 16, activation: hard_swish}
  stages:
    - {width: 16}
    - depth: {choice: [1, 2, 3]}
      width: {choice: [16, 24, 32]}
      stride: 2
      kernel: {choice: [3, 5, 7], per: block}
      expand: {choice: [3, 4, 6], per: block}
      squeeze: true
    - depth: {choice: [1, 2, 3]}
      width: {choice: [40, 64]}
      stride: 2
      kernel: {choice: [3, 5, 7], per: block}
      expand: {choice: [3, 4, 6], per: block}
      activation: hard_swish
  head: [{width: 256, activation: hard_swish}]
""",
    "cell": """
model:
  family: cell
  input: [3, 32, 32]
  classes: 10
  operations: [none, skip_connect, nor_conv_1x1, nor_conv_3x3, avg_pool_3x3]
  nodes: 3
  width: 32
  stack: [{normal: 2}, residual, {normal: 2}]
""",
    "superres": """
model:
  family: superres
  input: [3, 32, 32]
  scale: 2
  channels: 48
  cells: 1
  head: {depth: 1, operation: {choice: [simple_3, grouped3_3]}}
  body: {depth: 3, operation: {choice: [simple_1, simple_3, growth_3, grouped2_3]}}
  skip: {operation: {choice: [simple_1, simple_3]}}
  upsample: {operation: {choice: [simple_3]}}
  tail: {depth: {choice: [0, 1]}, operation: {choice: [simple_3]}}
""",
    "vit": """
model:
  family: vit
  input: [3, 64, 64]
  classes: 100
  patch: 8
  head_dim: 32
  embed: {choice: [192, 216, 240]}
  depth: {choice: [2, 3, 4]}
  heads: {choice: [4, 6, 8], per: block}
  mlp_ratio: {choice: [2, 3, 4], per: block}
""",
    "gpt": """
model:
  family: gpt
  tokens: 64
  vocabulary: 1000
  embed: {choice: [192, 288, 384]}
  depth: {choice: [2, 3]}
  heads: {choice: [4, 6], per: block}
  mlp_ratio: {choice: [2, 3, 4], per: block}
""",
    "gpt_grouped": """
model:
  family: gpt
  tokens: 64
  vocabulary: 1000
  positions: rotary
  norm: rms
  embed: {choice: [192, 288, 384]}
  depth: {choice: [2, 3]}
  heads: {choice: [4, 8], per: block}
  kv_heads: {choice: [1, 2, 4], per: block}
  head_dim: {choice: [32, 48], per: block}
  mlp_ratio: {choice: [2, 3, 4], per: block}
""",
    "bert": """
model:
  family: bert
  tokens: 64
  vocabulary: 1000
  embed: 256
  depth: 3
  heads: 4
  hidden: {choice: [128, 192, 256], per: block}
  ffn: {choice: [256, 512, 1024], per: block}
""",
    "transformer": """
model:
  family: transformer
  tokens: 32
  vocabulary: 1000
  encoder:
    depth: 3
    attention: 256
    embed: {choice: [192, 256]}
    ffn: {choice: [256, 512, 1024], per: block}
    heads: {choice: [4, 8], per: block}
  decoder:
    depth: {choice: [1, 2, 3]}
    attention: 256
    embed: {choice: [192, 256]}
    ffn: {choice: [256, 512, 1024], per: block}
    heads: {choice: [4, 8], per: block}
    cross_heads: {choice: [4, 8], per: block}
    cross_reach: {choice: [-1, 1, 2], per: block}
""",
}
TRANSFORMERS = ("vit", "gpt", "gpt_grouped", "bert", "transformer")
ASKED = {False: (1.10, 1.20), True: (1.20, float("inf"))}  # median and worst; whether it is a transformer
BATCH, ROUNDS = 16, 7
"""Small enough for five minutes on a busy machine; ``--full`` takes twice the batch, and three times the rounds."""


class Saved:
    """Bytes that autograd keeps for the backward pass, parameters aside; each storage once."""

    def __init__(self, net: nn.Module) -> None:
        self._known = {p.untyped_storage().data_ptr() for p in net.parameters()}
        self.total = 0

    def pack(self, x: Tensor) -> Tensor:
        """Count it."""
        storage = x.untyped_storage()
        if storage.data_ptr() not in self._known:
            self._known.add(storage.data_ptr())
            self.total += storage.nbytes()
        return x

    def of(self, run: Callable[[], Tensor]) -> int:
        """Of one forward pass."""
        with torch.autograd.graph.saved_tensors_hooks(self.pack, lambda x: x):
            kept = run()  # noqa: F841 - else what it saved would be freed, and its place counted once for several
        return self.total


def medians(runs: list[Callable[[], None]], rounds: int) -> list[float]:
    """Seconds of each, run in turn."""
    times: list[list[float]] = [[] for _ in runs]
    for run in runs:
        run()
    for _ in range(rounds):
        for run, kept in zip(runs, times, strict=True):
            start = time.perf_counter()
            run()
            kept.append(time.perf_counter() - start)
    return [statistics.median(kept) for kept in times]


def family(name: str, architectures: int, batch: int, rounds: int) -> bool:
    """One line of the table; whether it keeps what is asked."""
    space = from_text(f"name: {name}{FAMILIES[name]}")
    net = build(space).train()
    x = inputs(space, batch)
    ratios, memory, twins = [], [], []
    for architecture in space.sample_many(architectures, generator(0, "benchmark"), by_choice=True):
        twin = extract(net, architecture, net.calibrate(architecture, [x]), folded=False).train()

        def in_supernet(architecture=architecture):  # type: ignore[no-untyped-def]
            with net.active(architecture):
                return net(x)

        def alone(twin=twin):  # type: ignore[no-untyped-def]
            return twin(x)

        seconds = medians(
            [lambda: in_supernet().square().mean().backward(), lambda: alone().square().mean().backward()], rounds
        )
        ratios.append(seconds[0] / seconds[1])
        twins.append(1e3 * seconds[1])
        memory.append(Saved(net).of(in_supernet) / Saved(twin).of(alone))
    drawn = space.sample_many(200, generator(1, "benchmark"), by_choice=True)
    layers = [len(net.layers(a)) for a in drawn]
    start = time.perf_counter()
    for architecture in drawn:
        with net.active(architecture):
            pass
    select_ms = 1e3 * (time.perf_counter() - start) / sum(layers) * 100
    asked = ASKED[name in TRANSFORMERS]
    kept = statistics.median(ratios) <= asked[0] and max(ratios) <= asked[1] and select_ms <= 1
    print(
        f"{name:12}{statistics.median(twins):10.1f}{statistics.median(ratios):9.3f}{max(ratios):8.3f}{asked[0]:8.2f}"
        f"{statistics.median(memory):9.3f}{select_ms:12.3f}   {'yes' if kept else 'NO'}",
        flush=True,
    )
    return kept


def equality(name: str, architectures: int) -> bool:
    """One line: the largest difference between a slice and its extraction, of outputs divided by their largest.

    Of networks with rounded layers, whose scales are float32, the share of outputs that differ by over a millionth: a
    value between two steps may go either way.
    """
    space = small(name)
    net = randomised(space).double()
    x = inputs(space, 8)
    x = x if x.dtype == torch.int64 else x.double()
    worst, compared, apart = 0.0, 0, []
    for drawn in space.sample_many(architectures, generator(0, "benchmark"), by_choice=True):
        forms = [drawn, *([with_precision(space, drawn, "float")] if space.uniform("float") else [])]
        for architecture in forms:
            calibration = net.calibrate(architecture, x.chunk(2))
            plain = extract(net, architecture, calibration)
            with torch.no_grad(), net.active(architecture, calibration):
                expected, found = net(x), plain(x)
            difference = (expected - found).abs() / expected.abs().max().clamp_min(1)
            if any(y.precision.quantized for y in plain.layers):
                apart.append(float((difference > 1e-6).double().mean()))
            else:
                worst, compared = max(worst, float(difference.max())), compared + 1
    shown = f"{len(apart):12}{100 * statistics.mean(apart):10.2f} %" if apart else f"{0:12}"
    print(f"{name:18}{compared:8}{worst:12.1e}{shown}", flush=True)
    return worst <= 1e-9


def main() -> None:
    """Print the table; status 1 if a family is slower than asked."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--full", action="store_true", help="twice the batch, three times the rounds")
    parser.add_argument("--equality", action="store_true", help="compare slices with extracted networks")
    parser.add_argument("--family", nargs="*", choices=list(FAMILIES), default=list(FAMILIES))
    asked = parser.parse_args()
    torch.set_num_threads(1)
    if asked.equality:
        print("space                float  difference     rounded     apart")
        same = [equality(name, 200 if asked.full else 20) for name in [*CHANGES, *GRAPHS]]
        raise SystemExit(0 if all(same) else 1)
    times = 3 if asked.full else 1
    print("family        twin, ms   ratio   worst   asked   memory  select, ms   kept")
    print("                        median                          per 100 layers")
    results = [family(name, 10, BATCH * (2 if asked.full else 1), ROUNDS * times) for name in asked.family]
    raise SystemExit(0 if all(results) else 1)


if __name__ == "__main__":
    main()
