"""Mixture-of-Supernets: how far subnets lie behind the same networks trained alone, with one expert and with more.

    python -m tests.benchmarks.mixture --text FILE [--routings layer,neuron] [--experts 2] [--epochs 3] [--seeds 1]
        [--first 0] [--subnets 8] [--options "distillation: 0"] [--full]

FILE is the text of tinyshakespeare. A small GPT supernet learns it with one expert and with several, in the same steps;
each of the subnets (uniform per choice) is also trained alone, by the same recipe, without a teacher. The gap is the
subnet's validation loss minus that of the network trained alone, in nats per character; below zero the subnet is the
better one. Per seed the mean over subnets and how much smaller it is than with one expert; over seeds the mean and a
95 % interval (Student). Defaults take some minutes on two cores; ``--full`` is five seeds of six epochs.
"""

from __future__ import annotations

import argparse
import statistics
from dataclasses import replace
from pathlib import Path

import torch

from nas.data import Dataset, Shuffled
from nas.evaluate import Evaluator
from nas.experiment import Experiment
from nas.stages.train import dataset_of
from spaces import Architecture
from spaces.randomness import generator, seed_for
from supernets import Recipe, build, train
from tests.benchmarks.alone import trained_alone
from tests.benchmarks.common import Nowhere, experiment
from tests.benchmarks.schemes import shown

SPACE = """\
name: mixture
data: {{dataset: text, root: "{text}", batch: 32}}
model:
  family: gpt
  tokens: 32
  vocabulary: 65
  embed: {{choice: [8, 16, 32]}}
  depth: {{choice: [1, 2]}}
  heads: {{choice: [1, 2], per: block}}
  mlp_ratio: {{choice: [1, 2, 4], per: block}}
train: {{scheme: mixture, epochs: {epochs}{options}}}
search: {{budget: {{latency_share: 0.5}}}}
"""


def losses(
    asked: Experiment, recipe: Recipe, drawn: list[Architecture], dataset: Dataset, batches: Shuffled, seed: int
) -> list[float]:
    """Validation losses of subnets of a supernet trained by this recipe."""
    net = build(asked.space, seed_for(seed, "train.weights"), mixture=recipe.mixture)
    train(net, batches, recipe, Nowhere(), seed_for(seed, "train"))
    evaluate = Evaluator(net, dataset, batches)
    return [-evaluate(a).log_likelihood for a in drawn]


def gaps(asked: Experiment, given: argparse.Namespace, seed: int) -> list[list[float]]:
    """Of each side the gap of every subnet."""
    dataset, batches = dataset_of(asked, seed)
    drawn = list(asked.space.sample_many(given.subnets, generator(seed, "benchmark"), by_choice=True))
    recipe = asked.train.recipe()
    alone = [-trained_alone(asked.space, a, recipe, dataset, batches, seed).log_likelihood for a in drawn]
    found = []
    for experts, routing in sides(given):
        options = {**recipe.options, "experts": experts, "routing": routing}
        shared = losses(asked, replace(recipe, options=options), drawn, dataset, batches, seed)
        found.append([a - b for a, b in zip(shared, alone, strict=True)])
        each = " ".join(f"{gap:+.3f}" for gap in found[-1])
        print(f"seed {seed}, {experts} experts, {routing}: gaps {each}", flush=True)
    print(f"seed {seed}, alone: losses {' '.join(f'{loss:.3f}' for loss in alone)}", flush=True)
    return found


def sides(given: argparse.Namespace) -> list[tuple[int, str]]:
    """(experts, routing) of every supernet that is trained; one expert first."""
    return [(1, "none"), *((given.experts, routing) for routing in given.routings.split(","))]


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--text", type=Path, required=True)
    parser.add_argument("--routings", default="layer,neuron")
    parser.add_argument("--experts", type=int, default=2)
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--first", type=int, default=0, help="the first seed")
    parser.add_argument("--subnets", type=int, default=8)
    parser.add_argument("--options", default="", help="of the scheme, in YAML, the same on every side")
    parser.add_argument("--full", action="store_true")
    given = parser.parse_args()
    if given.full:
        given.epochs, given.seeds = 6, 5
    torch.set_num_threads(1)
    options = f", {given.options}" if given.options else ""
    asked = experiment(SPACE.format(text=given.text.resolve(), epochs=given.epochs, options=options))
    seeds = range(given.first, given.first + given.seeds)
    found = [[statistics.mean(side) for side in gaps(asked, given, seed)] for seed in seeds]
    print("| experts | routing | mean gap (1/1000 nats) | smaller than with one expert (%) |")
    print("|---|---|---|---|")
    for index, (experts, routing) in enumerate(sides(given)):
        smaller = [100 * (1 - means[index] / means[0]) for means in found]
        print(f"| {experts} | {routing} | {shown([1000 * means[index] for means in found])} | {shown(smaller)} |")


if __name__ == "__main__":
    main()
