"""What a loader is asked for."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from nas.data.errors import DataError
from nas.datasets import Reads


@dataclass(frozen=True)
class Request:
    """Where the data lie, the checked options of the dataset, and what the network reads and gives.

    ``shape``: (c, h, w) of an image, or (sequences, t, 1) of tokens. ``classes``: values of the output (for tokens
    the vocabulary). ``scale``: how many times higher and wider the pictures are that it gives. ``plugins``: packages
    whose code may be run.
    """

    shape: tuple[int, int, int] = (1, 1, 1)
    classes: int = 2
    reads: Reads = "images"
    scale: int = 1
    root: Path | None = None
    options: Mapping[str, Any] = field(default_factory=dict)
    plugins: Collection[str] = ()

    def place(self, dataset: str, what: str) -> Path:
        """``data.root``, which must be there. ``what`` says what it should hold. Raises :class:`DataError`."""
        if self.root is None:
            raise DataError(f"dataset {dataset}", f"it needs data.root: {what}", "missing-key")
        if not self.root.exists():
            raise DataError(self.root, f"no such file or folder; expected {what}", "missing-file")
        return self.root
