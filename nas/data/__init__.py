"""Datasets by name, one file each: a function from a :class:`Request` to the three splits."""

from __future__ import annotations

from collections.abc import Callable

from nas.data import digits, fashion_mnist
from nas.data.errors import DataError
from nas.data.request import Request
from nas.data.splits import Dataset, Shuffled, Split
from nas.data.tasks import Quality, Task

DATASETS: dict[str, Callable[[Request], Dataset]] = {
    "digits": digits.load,
    "fashion_mnist": fashion_mnist.load,
}

__all__ = ["DATASETS", "DataError", "Dataset", "Quality", "Request", "Shuffled", "Split", "Task"]
