"""Datasets by name, one file each: a function from a :class:`Request` to the three splits."""

from __future__ import annotations

from collections.abc import Callable

from nas.data import cifar10, digits, entry, fashion_mnist, huggingface, images, super_resolution, text
from nas.data.errors import DataError
from nas.data.request import Request
from nas.data.splits import Dataset, Shuffled, Split
from nas.data.tasks import Quality, Task

DATASETS: dict[str, Callable[[Request], Dataset]] = {
    "cifar10": cifar10.load,
    "digits": digits.load,
    "entry": entry.load,
    "fashion_mnist": fashion_mnist.load,
    "huggingface": huggingface.load,
    "images": images.load,
    "super_resolution": super_resolution.load,
    "text": text.load,
}

__all__ = ["DATASETS", "DataError", "Dataset", "Quality", "Request", "Shuffled", "Split", "Task"]
