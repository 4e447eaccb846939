"""What several benchmarks need."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from pathlib import Path

from nas.evaluate import Evaluator
from nas.evaluators.predictor import Predictions
from nas.experiment import Experiment, load
from nas.stages.fit import fitted
from nas.stages.profile import profiled
from nas.stages.train import dataset_of, trained
from nas.store import Store
from nas.terminal import Progress, Terminal


class Nowhere:
    """Checkpoints that nobody keeps."""

    def save(self, state: bytes, facts: Mapping[str, object]) -> None:
        """Nothing."""

    def latest(self) -> None:
        """None."""


def prepared(asked: Experiment, seed: int, store: Store) -> tuple[Evaluator, Predictions]:
    """What a search is given: subnets of a trained supernet, and both predictors; made where the store lacks them."""
    quiet = Progress(Terminal(quiet=True), "")
    dataset, batches = dataset_of(asked, seed)
    net, entry = trained(asked, seed, store, batches, quiet)
    latency, _, _ = profiled(asked, seed, store, None, quiet)
    evaluate = Evaluator(net, dataset, batches)
    accuracy, _ = fitted(asked, seed, store, entry, evaluate, quiet)
    return evaluate, Predictions(accuracy, latency)


def experiment(text: str) -> Experiment:
    """The checked experiment of a file with this text; paths in it are absolute."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "space.yaml"
        file.write_text(text)
        return load(file)
