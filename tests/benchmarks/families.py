"""Supernets of every family on real small data: the loss falls, and larger subnets are better.

    python -m tests.benchmarks.families --data DIR --cifar10 FILE [--only vit,gpt] [--seeds 1] [--full]

``DIR`` holds ``text`` (tinyshakespeare.txt) and ``sr_images`` (PNG files); of FILE, in the NPZ form of ``dataset:
cifar10`` (``tests/benchmarks/cifar10_npz.py`` makes one), 10,000 images are trained on. Each family trains by the same
recipe, the sandwich rule; then the smallest subnet, five random ones (their median) and the largest are evaluated on
the validation split, float. Twenty minutes on two cores; ``--full`` trains three times as long.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from nas.evaluate import Evaluator
from nas.stages.train import dataset_of
from spaces.randomness import generator, seed_for
from supernets import build, train
from tests.benchmarks.common import Nowhere, experiment

IMAGES = "data: {{dataset: cifar10, root: {cifar10}, batch: 128, limit: {examples}}}"
WORDS = "data: {{dataset: text, root: {text}, batch: 32}}"
CROPS = "data: {{dataset: super_resolution, root: {data}/sr_images, batch: 16}}"
RANDOM = 5


FAMILIES: Mapping[str, tuple[str, int, str]] = {
    "convnet": (IMAGES, 3, """
  family: convnet
  stages:
    - {depth: {choice: [1, 2]}, width: {choice: [4, 8, 16]}, kernel: {choice: [3, 5], per: block}, stride: 2}
    - {depth: {choice: [1, 2]}, width: {choice: [8, 16, 32]}, kernel: {choice: [3, 5], per: block}, stride: 2}
"""),
    "resnet": (IMAGES, 3, """
  family: resnet
  stem: {width: 16, kernel: 3, stride: 2}
  stem_pool: false
  stages:
    - {depth: {choice: [1, 2]}, width: {choice: [8, 16]}}
    - {depth: {choice: [1, 2]}, width: {choice: [16, 32]}, stride: 2}
"""),
    "mobilenet": (IMAGES, 3, """
  family: mobilenet
  stem: {width: 8, activation: hard_swish}
  stages:
    - depth: {choice: [1, 2]}
      width: {choice: [8, 16]}
      stride: 2
      kernel: {choice: [3, 5], per: block}
      expand: {choice: [2, 4], per: block}
      squeeze: true
    - {depth: {choice: [1, 2]}, width: {choice: [16, 32]}, stride: 2, expand: {choice: [2, 4], per: block}}
  head: [{width: 64, activation: hard_swish}]
"""),
    "vit": (IMAGES, 5, """
  family: vit
  patch: 4
  head_dim: 16
  embed: {choice: [16, 32, 64]}
  depth: {choice: [1, 2, 3]}
  heads: {choice: [1, 2, 4], per: block}
  mlp_ratio: {choice: [1, 2], per: block}
"""),
    "cell": (IMAGES, 2, """
  family: cell
  operations: [none, skip_connect, nor_conv_1x1, nor_conv_3x3, avg_pool_3x3]
  nodes: 3
  width: 8
  stack: [reduce, normal, reduce, normal]
"""),
    "gpt": (WORDS, 2, """
  family: gpt
  tokens: 32
  vocabulary: 65
  embed: {choice: [16, 32, 64]}
  depth: {choice: [1, 2]}
  heads: {choice: [2, 4], per: block}
  mlp_ratio: {choice: [1, 2, 4], per: block}
"""),
    "bert": (WORDS, 6, """
  family: bert
  tokens: 32
  vocabulary: 66
  embed: 64
  depth: {choice: [1, 2]}
  hidden: {choice: [16, 32, 64], per: block}
  heads: {choice: [2, 4], per: block}
  mlp_ratio: {choice: [1, 2, 4], per: block}
"""),
    "transformer": (WORDS, 2, """
  family: transformer
  tokens: 32
  vocabulary: 65
  encoder:
    {depth: 2, attention: 32, embed: {choice: [16, 32, 64]}, ffn: {choice: [32, 64, 128], per: block}, heads: 2}
  decoder:
    depth: {choice: [1, 2]}
    attention: 32
    embed: {choice: [16, 32, 64]}
    ffn: {choice: [32, 64, 128], per: block}
    heads: {choice: [2, 4], per: block}
    cross_heads: {choice: [2, 4], per: block}
"""),
    "superres": (CROPS, 4, """
  family: superres
  input: [3, 24, 24]
  scale: 2
  channels: 12
  cells: 1
  head: {depth: 1, operation: {choice: [simple_3]}}
  body: {depth: 2, operation: {choice: [simple_1, simple_3, growth_3]}}
  skip: {operation: {choice: [simple_1, simple_3]}}
  upsample: {operation: {choice: [simple_3]}}
  tail: {depth: {choice: [0, 1]}, operation: {choice: [simple_3]}}
"""),
}  # fmt: skip
"""Data, epochs and model of each."""


def family(name: str, data: Path, cifar10: Path, seed: int, full: bool) -> str:
    """One line of the table."""
    dataset, epochs, model = FAMILIES[name]
    given = dataset.format(data=data, cifar10=cifar10, text=data / "text" / "tinyshakespeare.txt", examples=10_000)
    asked = experiment(f"name: {name}\n{given}\nmodel:{model}\nsearch: {{budget: {{latency_share: 0.5}}}}\n")
    images, batches = dataset_of(asked, seed)
    start = time.monotonic()
    net = build(asked.space, seed_for(seed, "train.weights"))
    recipe = asked.train.recipe()
    recipe = replace(recipe, epochs=epochs * (3 if full else 1))
    losses = train(net, batches, recipe, Nowhere(), seed_for(seed, "train"))
    seconds = time.monotonic() - start
    evaluate = Evaluator(net, images, batches)
    drawn = asked.space.sample_many(RANDOM, generator(seed, "benchmark"), by_choice=True)
    small, large = (evaluate(asked.space.extreme(pick, "float")).accuracy for pick in (min, max))
    middle = statistics.median(evaluate(a).accuracy for a in drawn)
    kept = "yes" if losses[-1] < losses[0] or len(losses) == 1 else "NO"
    ordered = "yes" if small < middle < large else "NO"
    unit = images.task.metric["unit"]
    return (
        f"| {name} | {losses[0]:.3f} to {losses[-1]:.3f} ({kept}) | {small:.2f} | {middle:.2f} | {large:.2f} {unit} "
        f"| {ordered} | {len(losses)} epochs, {seconds:.0f} s |"
    )


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--cifar10", type=Path, required=True)
    parser.add_argument("--only", default=",".join(FAMILIES))
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--full", action="store_true")
    given = parser.parse_args()
    print("| family | mean loss, first to last epoch | smallest | random | largest | in order | training |")
    print("|---|---|---|---|---|---|---|")
    for name in given.only.split(","):
        for seed in range(given.seeds):
            print(family(name, given.data.resolve(), given.cifar10.resolve(), seed, given.full), flush=True)


if __name__ == "__main__":
    main()
