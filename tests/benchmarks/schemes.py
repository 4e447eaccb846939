"""Training schemes against each other: quality of small, median and large subnets, and what it cost.

    python -m tests.benchmarks.schemes --dataset fashion_mnist --root FOLDER [--schemes sandwich,uniform] [--seeds 1]
        [--epochs 2] [--examples 6000] [--passes] [--statistics] [--tau] [--full]

FOLDER is that of the dataset, or an NPZ file for ``cifar10``. A scheme may carry options, each after a colon:
``sandwich:distillation=1:smoothing=0.1``. Schemes get the same epochs, or with ``--passes`` about the same forward
passes as the first one gets. Every subnet is evaluated on the validation split, its statistics re-estimated.
Mean over seeds and a 95 % interval (Student), optimiser steps, forward passes, seconds and the mean kurtosis of the
weights of each (1.8 is a uniform distribution, 3 a normal one). Defaults end within minutes on two cores; ``--full``
takes all examples, 24 epochs and 3 seeds: hours.

``--statistics`` adds how far, in points, accuracies by the statistics of 512 and of 2,048 training images are from
those by the statistics of all: the most among the smallest, the largest and eight random subnets.
``--tau`` adds Kendall's tau of supernet accuracy and of parameters with the accuracy of twelve subnets, drawn by
``space.sample``, that were trained alone by the same recipe.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from scipy import stats
from torch import Tensor

from nas.data import Dataset, Shuffled, Split
from nas.evaluate import Evaluator
from nas.experiment import Experiment
from nas.stages.train import dataset_of
from predictors.metrics import tau
from spaces import Architecture
from spaces.randomness import generator, seed_for
from supernets import Recipe, Supernet, build, train
from supernets.training import SCHEMES, Setting
from supernets.training.distribution import kurtosis, regularised
from tests.benchmarks import common
from tests.benchmarks.alone import trained_alone

SPACE = """\
name: schemes
data: {{dataset: {dataset}, root: "{root}", batch: 64}}
model:
  family: convnet
  stages:
    - {{depth: 1, width: {{choice: [4, 8, 16]}}, kernel: {{choice: [3, 5]}}, stride: 2}}
    - {{depth: {{choice: [1, 2, 3]}}, width: {{choice: [8, 16, 32]}}, kernel: {{choice: [3, 5], per: block}}, stride: 2,
       residual: true}}
    - {{depth: {{choice: [1, 2]}}, width: {{choice: [16, 32, 64]}}, kernel: {{choice: [3, 5], per: block}}, stride: 2,
       residual: true}}
precision: {precision}
train: {{scheme: {scheme}, epochs: {epochs}{options}}}
search: {{budget: {{latency_share: 0.5}}}}
"""
RANDOM = 8
PROBES = 16  # steps at which forward passes are counted ahead
COLUMNS = ("smallest", "median random", "largest", "optimiser steps", "forward passes", "seconds", "mean kurtosis")
STATISTICS = {"512 images": 512, "2,048 images": 2_048}
TAUS = ("tau of supernet", "tau of parameters")
ALONE = 12


def experiment(scheme: str, given: argparse.Namespace) -> Experiment:
    """The checked file of a scheme, ``name`` or ``name:option=value:option=value``."""
    name, *options = scheme.split(":")
    written = "".join(f", {option.replace('=', ': ')}" for option in options)
    return common.experiment(SPACE.format(
        dataset=given.dataset, root=given.root.resolve(), precision=given.precision, scheme=name,
        epochs=given.epochs, options=written,
    ))  # fmt: skip


def examples(asked: Experiment, seed: int, given: argparse.Namespace) -> tuple[Dataset, Shuffled]:
    """The dataset, cut to the examples asked for, and its batches."""
    dataset, _ = dataset_of(asked, seed)
    images, labels = (
        part[: None if given.full else given.examples] for part in (dataset.train.images, dataset.train.labels)
    )
    dataset = replace(dataset, train=Split(images, labels))
    return dataset, Shuffled(dataset, asked.data.batch, seed_for(seed, "data"))


class Counter:
    """Forward passes of a supernet, while it lives."""

    def __init__(self, net: Supernet) -> None:
        self.passes = 0
        net.register_forward_pre_hook(self._passed)

    def _passed(self, module: object, inputs: tuple[Tensor, ...]) -> None:
        self.passes += 1


def passes_per_step(asked: Experiment, batches: Shuffled) -> float:
    """Forward passes of a step, a mean over the training: some schemes begin with fewer."""
    recipe = asked.train.recipe()
    net = build(asked.space, 0, mixture=recipe.mixture).train()
    steps, counter = recipe.epochs * batches.steps, Counter(net)
    scheme = SCHEMES[recipe.scheme](Setting(asked.space, 0, steps, batches.loss), **recipe.options)
    images, labels = next(batches.epoch(0))
    for probe in range(PROBES):
        scheme.backward(net, images[:8], labels[:8], probe * steps // PROBES)
    return counter.passes / PROBES


def measured(asked: Experiment, seed: int, given: argparse.Namespace, epochs: int) -> tuple[float, ...]:
    """Train and evaluate once; a value for each column."""
    dataset, batches = examples(asked, seed, given)
    recipe = replace(asked.train.recipe(), epochs=epochs)
    net = build(asked.space, seed_for(seed, "train.weights"), mixture=recipe.mixture)
    counter, taken = Counter(net), []
    start = time.monotonic()
    train(net, batches, recipe, common.Nowhere(), seed_for(seed, "train"), lambda *step: taken.append(step))
    seconds, passes = time.monotonic() - start, counter.passes
    evaluate = Evaluator(net, dataset, batches)
    drawn = asked.space.sample_many(RANDOM, generator(seed, "benchmark"), by_choice=True)
    ends = [asked.space.extreme(pick, given.at) for pick in (min, max)]
    smallest, largest = (evaluate(a).accuracy for a in ends)
    peaks = statistics.mean(float(kurtosis(weight.detach())) for weight in regularised(net))
    middle = statistics.median(evaluate(a).accuracy for a in drawn)
    found = (smallest, middle, largest, len(taken), passes, seconds, peaks)
    if given.statistics:
        found += apart(net, dataset, asked, [*ends, *drawn], seed)
    if given.tau:
        found += taus(evaluate, dataset, asked, recipe, seed, given)
    return found


def apart(
    net: Supernet, dataset: Dataset, asked: Experiment, subnets: Sequence[Architecture], seed: int
) -> tuple[float, ...]:
    """The largest difference in accuracy to that by the statistics of all training images, for each number of them."""

    def accuracies(images: int) -> list[float]:
        some = Shuffled(dataset, asked.data.batch, seed_for(seed, "data"), images)
        evaluate = Evaluator(net, dataset, some)
        return [evaluate(a).accuracy for a in subnets]

    whole = accuracies(len(dataset.train))
    return tuple(max(abs(a - b) for a, b in zip(accuracies(n), whole, strict=True)) for n in STATISTICS.values())


def taus(
    evaluate: Evaluator, dataset: Dataset, asked: Experiment, recipe: Recipe, seed: int, given: argparse.Namespace
) -> tuple[float, float]:
    """Kendall's tau with the accuracy of networks trained alone: of the supernet's accuracy, and of parameters."""
    space, batches = asked.space, Shuffled(dataset, asked.data.batch, seed_for(seed, "data"))
    drawn = list(space.sample_many(ALONE, generator(seed, "benchmark.tau")))
    own = np.array([trained_alone(space, a, recipe, dataset, batches, seed).accuracy for a in drawn])
    shared = np.array([evaluate(a).accuracy for a in drawn])
    return tau(shared, own), tau(space.cost(drawn)["parameters"].astype(float), own)


def shown(values: Sequence[float]) -> str:
    """Mean and half the width of its 95 % interval."""
    if len(values) == 1:
        return f"{values[0]:.2f}"
    half = stats.t.ppf(0.975, len(values) - 1) * statistics.stdev(values) / len(values) ** 0.5
    return f"{statistics.mean(values):.2f} ± {half:.2f}"


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dataset", choices=("fashion_mnist", "cifar10"), default="fashion_mnist")
    parser.add_argument("--root", type=Path, required=True)
    parser.add_argument("--schemes", default="sandwich,uniform:subnets=4,uniform")
    parser.add_argument("--precision", default="float", help="the precision section, in YAML")
    parser.add_argument(
        "--at", default="float", help="the precision in which the smallest and the largest are evaluated"
    )
    parser.add_argument("--examples", type=int, default=6_000)
    parser.add_argument("--epochs", type=int, default=2)
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--passes", action="store_true")
    parser.add_argument("--statistics", action="store_true")
    parser.add_argument("--tau", action="store_true")
    parser.add_argument("--full", action="store_true")
    given = parser.parse_args()
    if given.full:
        given.epochs, given.seeds = 24, 3
    columns = [*COLUMNS, *(STATISTICS if given.statistics else ()), *(TAUS if given.tau else ())]
    print(f"| scheme | epochs | {' | '.join(columns)} |")
    print("|---|---|" + "---|" * len(columns))
    first: float | None = None
    for scheme in given.schemes.split(","):
        asked = experiment(scheme, given)
        each = passes_per_step(asked, examples(asked, 0, given)[1])
        first = first or each
        epochs = max(1, round(given.epochs * first / each)) if given.passes else given.epochs
        sides = [measured(asked, seed, given, epochs) for seed in range(given.seeds)]
        print(f"| {scheme} | {epochs} | {' | '.join(map(shown, zip(*sides, strict=True)))} |", flush=True)


if __name__ == "__main__":
    main()
