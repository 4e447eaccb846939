"""What several benchmarks need."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from pathlib import Path

from nas.experiment import Experiment, load


class Nowhere:
    """Checkpoints that nobody keeps."""

    def save(self, state: bytes, facts: Mapping[str, object]) -> None:
        """Nothing."""

    def latest(self) -> None:
        """None."""


def experiment(text: str) -> Experiment:
    """The checked experiment of a file with this text; paths in it are absolute."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "space.yaml"
        file.write_text(text)
        return load(file)
