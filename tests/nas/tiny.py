"""A cut-down experiment on real data and real kernels, small enough to be searched in seconds."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from nas.api import Search
from nas.experiment import Experiment, load

TINY = """\
name: tiny
data: {dataset: digits, batch: 16}
model:
  family: convnet
  stages:
    - {depth: {choice: [1, 2]}, width: {choice: [4, 8]}, kernel: {choice: [1, 3], per: block}, stride: 1}
    - {depth: 1, width: {choice: [4, 8]}, kernel: 3, stride: 2}
precision: {choice: [float, w8a8, w4a8], per: layer}
train: {scheme: sandwich, epochs: 3, learning_rate: 0.01}
search: {trials: 60, evaluations: 20, finalists: 2, budget: {latency_share: 0.95}}
"""
MODEL = "model: {family: convnet, stages: [{width: {choice: [4, 8]}}]}\n"


@dataclass(frozen=True)
class Finished:
    """A finished search: the file it was asked with, the folder of runs, and what ``nas.search`` returned."""

    source: Path
    runs: Path
    search: Search

    @property
    def folder(self) -> Path:
        """The run folder."""
        return self.runs / "tiny-1"

    @property
    def table(self) -> Path:
        """The latency table that it measured."""
        return next((self.runs / "store" / "profile").glob("*/table.json"))


def of(folder: Path, text: str, name: str = "space") -> Experiment:
    """The checked experiment of a text, as a file of this name."""
    source = folder / f"{name}.yaml"
    source.write_text(text, encoding="utf-8")
    return load(source)


def asked(folder: Path, text: str = TINY) -> Experiment:
    """The checked experiment of this text, as file ``tiny.yaml``."""
    return of(folder, text, "tiny")
