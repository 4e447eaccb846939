"""One finished search, made once and shared."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

import nas
from nas.evaluate import Evaluator
from nas.experiment import load
from nas.stages.train import dataset_of, trained
from nas.store import Store
from nas.terminal import Progress, Terminal
from tests.nas.tiny import TINY, Finished


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Finished:
    """A whole pipeline, measured here and now. Whoever changes its files works on a copy: see ``runs``."""
    folder = tmp_path_factory.mktemp("finished")
    source = folder / "tiny.yaml"
    source.write_text(TINY, encoding="utf-8")
    return Finished(source, folder / "runs", nas.search(source, runs=folder / "runs"))


@pytest.fixture
def runs(finished: Finished, tmp_path: Path) -> Path:
    """A copy of the folder of runs with the finished one, its store included, to change at will."""
    return Path(shutil.copytree(finished.runs, tmp_path / "runs"))


@pytest.fixture(scope="session")
def evaluator(finished: Finished) -> Evaluator:
    """The trained supernet of the finished search, on its data."""
    asked = load(finished.source)
    dataset, batches = dataset_of(asked, 0)
    store = Store(finished.runs / "store")
    net, _ = trained(asked, 0, store, batches, Progress(Terminal(quiet=True), "test"))
    return Evaluator(net, dataset, batches)
