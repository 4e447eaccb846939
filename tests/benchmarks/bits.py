"""One supernet of many precisions against networks trained for one precision each.

    python -m tests.benchmarks.bits --root FOLDER [--seeds 0] [--epochs 16] [--examples 6000] [--kept runs/bits.jsonl]
        [--schemes eqnet*2,eqnet,eqnet:guidance=none,eqnet:kurtosis=0:skewness=0] [--full]

FOLDER is that of ``fashion_mnist``. The supernet chooses bits of weights (2, 4, 8) and inputs (4, 8) per layer, and for
all layers whether weights have a scale per tensor or per channel, symmetric or not, besides widths; steps are learned.
Its largest and its median subnet, uniform in bits (w8a8, w4a4, w2a4), in all four forms, are compared with networks
of that size and precision that trained alone: the same recipe and images, quantization-aware from the start, first and
last layer included, for ``--epochs``; the supernet as long, or, as ``eqnet*2``, twice as long: one training that
replaces 24, so images, forward passes and seconds of both sides are printed. Accuracy on the validation split; mean
over seeds and a 95 % interval (Student).

Asked: within 1.0 point at 8 and 4 bits, 1.5 at 2 bits, in a setting where 2 bits alone trail 8 bits by 2 points or
more; guidance by a chain beats none at 2 bits; the regulariser draws kurtosis at least half-way to 1.8.

Every result is kept in a file and not computed again; several processes may share it, each with its own seeds.
Defaults end within twenty minutes on two cores; ``--full`` is 3 seeds of 32 epochs, some hours.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import Any

from nas.data import Shuffled, Split
from nas.evaluate import Evaluator
from nas.stages.train import dataset_of
from spaces import Architecture, Space
from spaces.randomness import seed_for
from supernets import Supernet, build, train
from supernets.training.distribution import kurtosis, regularised
from tests.benchmarks.common import Nowhere, experiment
from tests.benchmarks.schemes import Counter, shown

TEXT = """\
name: bits
data: {{dataset: fashion_mnist, root: "{root}", batch: 64}}
model:
  family: convnet
  stages:
    - {{depth: 1, width: {wide[0]}, kernel: 3, stride: 2}}
    - {{depth: 2, width: {wide[1]}, kernel: 3, stride: 2, residual: true}}
    - {{depth: 2, width: {wide[2]}, kernel: 3, stride: 2, residual: true}}
precision: {precision}
train: {{scheme: {scheme}, epochs: {epochs}{options}}}
search: {{budget: {{latency_share: 0.5}}}}
"""
WIDTHS = ((12, 14, 16), (18, 21, 24), (24, 28, 32))
SIZES = {"largest": -1, "median": 1}
"""Name -> which of the widths."""
BITS = {8: 8, 4: 4, 2: 4}
"""Of weights -> of inputs."""
FORMS = tuple(product(("tensor", "channel"), ("symmetric", "asymmetric")))
ELASTIC = (
    "{split: true, weights: {scale: eqnet, bits: {choice: [2, 4, 8]}, granularity: {choice: [tensor, channel]}, "
    "symmetry: {choice: [symmetric, asymmetric]}}, inputs: {scale: lsqplus, bits: {choice: [4, 8]}}}"
)
SCHEMES = ("eqnet*2", "eqnet", "eqnet:guidance=none", "eqnet:kurtosis=0:skewness=0")
ASKED = {8: 1.0, 4: 1.0, 2: 1.5}
Row = dict[str, Any]


def text(given: argparse.Namespace, scheme: str, wide: Any, precision: str) -> str:
    """The file of a training. ``scheme``: such as ``eqnet*2:guidance=none``, twice as long, and its options."""
    first, *options = scheme.split(":")
    name, _, times = first.partition("*")
    written = "".join(f", {option.replace('=', ': ')}" for option in options)
    root, epochs = given.root.resolve(), given.epochs * int(times or 1)
    return TEXT.format(root=root, scheme=name, options=written, epochs=epochs, wide=wide, precision=precision)


def trained(given: argparse.Namespace, written: str, seed: int) -> tuple[Supernet, Evaluator, Row]:
    """A supernet trained as the file says, what evaluates it, and what that cost."""
    asked = experiment(written)
    dataset, _ = dataset_of(asked, seed)
    part = Split(dataset.train.images[: given.examples], dataset.train.labels[: given.examples])
    dataset = replace(dataset, train=part)
    batches = Shuffled(dataset, asked.data.batch, seed_for(seed, "data"))
    net = build(asked.space, seed_for(seed, "train.weights"))
    counter, start = Counter(net), time.monotonic()
    train(net, batches, asked.train.recipe(), Nowhere(), seed_for(seed, "train"))
    cost = {"passes": counter.passes, "seconds": time.monotonic() - start, "images": len(part) * asked.train.epochs}
    return net, Evaluator(net, dataset, batches), cost


def subnet(space: Space, size: str, bits: int, form: tuple[str, str]) -> Architecture:
    """The subnet of the supernet of this size and uniform precision."""
    values = {f"stages.{i}.width": wide[SIZES[size]] for i, wide in enumerate(WIDTHS)}
    values |= {"precision.weights.granularity": form[0], "precision.weights.symmetry": form[1]}
    for choice in space.choices:
        if choice.name.endswith((".weights.bits", ".inputs.bits")):
            values[choice.name] = bits if choice.name.endswith(".weights.bits") else BITS[bits]
    return space.architecture({c.name: values[c.name] for c in space.choices if c.present(values)})


def elastic(given: argparse.Namespace, scheme: str, seed: int) -> Row:
    """Train the supernet and evaluate every subnet that is compared."""
    choices = [f"{{choice: {list(wide)}}}" for wide in WIDTHS]
    net, evaluate, cost = trained(given, text(given, scheme, choices, ELASTIC), seed)
    quality = {
        " ".join([size, str(bits), *form]): evaluate(subnet(net.space, size, bits, form)).accuracy
        for size, bits, form in product(SIZES, BITS, FORMS)
    }
    peaks = [float(kurtosis(weight.detach())) for weight in regularised(net)]
    return {"accuracy": quality, "kurtosis": statistics.mean(peaks), **cost}


def alone(given: argparse.Namespace, size: str, bits: int, form: tuple[str, str], seed: int) -> Row:
    """Train and evaluate one network of fixed size and precision."""
    precision = f"w{bits}-{form[0]}-{form[1]}-eqnet/a{BITS[bits]}-lsqplus"
    written = text(given, "uniform", [wide[SIZES[size]] for wide in WIDTHS], precision)
    net, evaluate, cost = trained(given, written, seed)
    return {"accuracy": evaluate(net.space.largest).accuracy, **cost}


class Kept:
    """Results in a file, a line each: what was computed once is not computed again."""

    def __init__(self, path: Path, given: argparse.Namespace) -> None:
        self.path, self.setting = path, f"{given.examples} x {given.epochs}"
        path.parent.mkdir(parents=True, exist_ok=True)
        lines = path.read_text().splitlines() if path.exists() else []
        self.rows: dict[str, Row] = {row["what"]: row for row in map(json.loads, lines)}

    def __call__(self, what: str, compute: Any) -> Row:
        """The result of this name; computed and written if it is not there."""
        what = f"{self.setting}: {what}"
        if what not in self.rows:
            self.rows[what] = {"what": what, **compute()}
            with self.path.open("a") as file:
                file.write(json.dumps(self.rows[what]) + "\n")
        return self.rows[what]


def table(schemes: dict[str, list[Row]], single: dict[str, list[Row]]) -> None:
    """Accuracies and differences, by scheme, size, bits and form; then what it all cost."""
    print("| scheme | size | bits | form | supernet | alone | difference | asked | kept |")
    print("|---|---|---|---|---|---|---|---|---|")
    for scheme, (size, bits, form) in product(schemes, product(SIZES, BITS, FORMS)):
        name = " ".join([size, str(bits), *form])
        ours = [row["accuracy"][name] for row in schemes[scheme]]
        theirs = [row["accuracy"] for row in single[name]]
        apart = [a - b for a, b in zip(ours, theirs, strict=True)]
        kept = "yes" if statistics.mean(apart) >= -ASKED[bits] else "NO"
        what = f"| {scheme} | {size} | w{bits}a{BITS[bits]} | {' '.join(form)} | {shown(ours)} | {shown(theirs)} "
        print(f"{what}| {shown(apart)} | -{ASKED[bits]} | {kept} |")
    print("\n| | mean at 2 bits | mean at 8 bits | kurtosis | images | forward passes | seconds |")
    print("|---|---|---|---|---|---|---|")
    for scheme, rows in schemes.items():
        low, high = (
            [statistics.mean(v for k, v in row["accuracy"].items() if k.split()[1] == bits) for row in rows]
            for bits in ("2", "8")
        )
        costs = " | ".join(
            f"{statistics.mean(row[key] for row in rows):,.0f}" for key in ("images", "passes", "seconds")
        )
        print(f"| {scheme} | {shown(low)} | {shown(high)} | {shown([row['kurtosis'] for row in rows])} | {costs} |")
    count = len(next(iter(schemes.values())))
    low, high = (
        [statistics.mean(rows[i]["accuracy"] for k, rows in single.items() if k.split()[1] == b) for i in range(count)]
        for b in ("2", "8")
    )
    total = [
        sum(statistics.mean(r[key] for r in rows) for rows in single.values())
        for key in ("images", "passes", "seconds")
    ]
    print(
        f"| {len(single)} networks alone | {shown(low)} | {shown(high)} | | {' | '.join(f'{v:,.0f}' for v in total)} |"
    )


def main() -> None:
    """Compute what is missing and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--root", type=Path, required=True)
    parser.add_argument("--schemes", default="eqnet*2")
    parser.add_argument("--seeds", default="0", help="such as 0,1,2")
    parser.add_argument("--epochs", type=int, default=16)
    parser.add_argument("--examples", type=int, default=6_000)
    parser.add_argument("--kept", type=Path, default=Path("runs/bits.jsonl"))
    parser.add_argument("--full", action="store_true", help="3 seeds, 32 epochs, all schemes above")
    given = parser.parse_args()
    if given.full:
        given.seeds, given.epochs, given.schemes = "0,1,2", 32, ",".join(SCHEMES)
    seeds, kept = [int(seed) for seed in given.seeds.split(",")], Kept(given.kept, given)
    schemes = {
        s: [kept(f"{s}, seed {i}", lambda s=s, i=i: elastic(given, s, i)) for i in seeds]  # type: ignore[misc]
        for s in given.schemes.split(",")
    }
    single = {
        " ".join([size, str(bits), *form]): [
            kept(f"alone {size} {bits} {form}, seed {i}", lambda a=(size, bits, form, i): alone(given, *a))
            for i in seeds
        ]
        for size, bits, form in product(SIZES, BITS, FORMS)
    }
    table(schemes, single)


if __name__ == "__main__":
    main()
