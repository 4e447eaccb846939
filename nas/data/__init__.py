"""Datasets by name, one file each: a function from ``data.root`` to the three splits."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from nas.data import digits, fashion_mnist
from nas.data.errors import DataError
from nas.data.splits import Dataset, Pixels, Shuffled, Split

DATASETS: dict[str, Callable[[Path | None], Dataset]] = {
    "digits": digits.load,
    "fashion_mnist": fashion_mnist.load,
}

__all__ = ["DATASETS", "DataError", "Dataset", "Pixels", "Shuffled", "Split"]
