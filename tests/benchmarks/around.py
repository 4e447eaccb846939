"""Looking around the best of a search (``nas/stages/around.py``), against its best alone, on images nobody has seen.

    python -m tests.benchmarks.around [--root FOLDER] [--quantiles 0.1,0.5,0.8] [--seed 0]
        [--runs runs/benchmarks/contract]

Within a latency at each quantile of what drawn architectures are predicted to take, NSGA-II proposes 3,000 networks of
the mobile space of ``tests.benchmarks.contract``, whose supernet, table and predictor are in RUNS, or made there.
Both sides choose by the same score among what they checked in the supernet: the 40 best by prediction; or as many as
looking around takes, twenty of them the search's. Printed: checks, accuracy of what is chosen and of the best that was
checked on 6,000 further images of CIFAR-10, and how well scores rank the checked ones there. Half an hour on one core.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import numpy as np
import torch

from nas.data import Quality, Split
from nas.experiment import load
from nas.stages.around import Around
from nas.stages.search import distinct, within
from nas.stages.verifier import CHECKED, Verifier
from nas.store import Store
from nas.strategies import Result, Signals, strategy
from predictors.accuracy import AccuracyPredictor
from predictors.metrics import tau
from spaces import Architecture
from spaces.randomness import generator, seed_for
from tests.benchmarks.cifar10_npz import ROOT, TRAIN, require, unfiltered
from tests.benchmarks.common import prepared
from tests.benchmarks.contract import DRAWN, PICTURES, Case

TRIALS, BATCH, UNSEEN = 3_000, 50, 6_000


class Judge:
    """What looking around asks of a verifier, and the quality on images that no search sees."""

    def __init__(self, case: Case, root: Path) -> None:
        self.asked = load(case.source)
        self.evaluate, self.predict = prepared(self.asked, case.seed, Store(case.runs / "store"))
        x, y = unfiltered(root / TRAIN)
        rows, scale = slice(PICTURES, PICTURES + UNSEEN), self.evaluate.dataset.interface(1)
        pixels = torch.from_numpy(x[rows].astype(np.float32))
        self._unseen = Split((pixels - scale["mean"]) / scale["deviation"], torch.from_numpy(y[rows].astype(np.int64)))
        self._seen: dict[str, tuple[Quality, Quality]] = {}
        self.begin()

    def begin(self) -> None:
        """Forget what was learned."""
        self._predictor, self._predicted = self.predict.accuracy, dict[str, float]()
        self.checked: dict[str, Architecture] = {}

    def progress(self, *said: object) -> None:
        """Nothing."""

    def quality(self, architecture: Architecture) -> Quality:
        """On the validation images; counted."""
        self.checked[architecture.key] = architecture
        return self._both(architecture)[0]

    def unseen(self, architecture: Architecture) -> Quality:
        """On the others."""
        return self._both(architecture)[1]

    def _both(self, architecture: Architecture) -> tuple[Quality, Quality]:
        if architecture.key not in self._seen:
            data, calibration = self.evaluate.dataset, self.evaluate.calibrate(architecture)
            splits = (data.validation, self._unseen)
            found = [data.task.quality(self.evaluate.logits(architecture, s, calibration), s.labels) for s in splits]
            self._seen[architecture.key] = found[0], found[1]
        return self._seen[architecture.key]

    def learn(self, architectures: Sequence[Architecture]) -> AccuracyPredictor:
        """As the verifier does."""
        return Verifier.learn(cast(Verifier, self), architectures)

    def score(self, architecture: Architecture) -> float:
        """As the verifier does."""
        return Verifier.score(cast(Verifier, self), architecture)

    def said(self) -> str:
        """Of what was checked: how many, accuracy of the chosen and of the best one, tau of scores."""
        networks = list(self.checked.values())
        scores = np.array([self.score(a) for a in networks])
        truth = [self.unseen(a) for a in networks]
        likelihood = np.array([q.log_likelihood for q in truth])
        chosen, best = truth[int(scores.argmax())], truth[int(likelihood.argmax())]
        return f"{len(networks)} | {chosen.accuracy:.2f} | {best.accuracy:.2f} | {tau(scores, likelihood):.2f}"


def searched(judge: Judge, limit: float, seed: int) -> list[Result]:
    """What NSGA-II proposes within this latency."""
    made = strategy(
        "nsga2", judge.asked.searched, ["quality", "latency_ms", "size_bytes"], {"latency_ms": limit},
        seed_for(seed, "search"), Signals(judge.predict.ahead),
    )  # fmt: skip
    found: list[Result] = []
    while len(found) < TRIALS:
        asked = made.ask(BATCH)
        new = [Result(len(found) + i, *pair) for i, pair in enumerate(zip(asked, judge.predict(asked), strict=True))]
        made.tell(new)
        found += new
    return distinct(found)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--root", type=Path, default=ROOT)
    parser.add_argument("--runs", type=Path, default=Path("runs/benchmarks/contract"))
    parser.add_argument("--quantiles", default="0.1,0.5,0.8")
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    require(parser, given.root)
    torch.set_num_threads(1)
    judge = Judge(Case.of("mobilenet", SimpleNamespace(**vars(given))), given.root)  # type: ignore[arg-type]
    drawn = judge.asked.searched.sample_many(DRAWN, generator(given.seed, "benchmark.budgets"))
    latency = judge.predict.latency.predict(drawn)[0]
    print("| latency ms | candidates | checks | accuracy of the chosen, % | of the best, % | tau of scores |")
    print("|---|---|---|---|---|---|")
    for quantile in map(float, given.quantiles.split(",")):
        limits = {"latency_ms": float(np.quantile(latency, quantile))}
        found = searched(judge, limits["latency_ms"], given.seed)
        judge.begin()
        for result in within(found, limits)[:CHECKED]:
            judge.quality(result.architecture)
        print(f"| {limits['latency_ms']:.4f} | best of the search | {judge.said()} |", flush=True)
        judge.begin()
        Around(cast(Verifier, judge), found, seed_for(given.seed, "around"))(limits)
        print(f"| | and around them | {judge.said()} |", flush=True)


if __name__ == "__main__":
    main()
