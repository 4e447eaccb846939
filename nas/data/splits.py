"""A dataset in three disjoint splits, and the batches that training draws from it."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from nas.data.augment import Augment, unchanged
from nas.data.tasks import Classification, Task
from spaces.randomness import generator


@dataclass(frozen=True)
class Split:
    """Examples. ``images`` (n, c, h, w) float32, or token numbers (n, t), of two sequences (n, 2, t), int64.

    ``labels``: classes (n,) int64, tokens (n, t) int64, or pictures (n, c, s*h, s*w) float32.
    """

    images: Tensor
    labels: Tensor

    def __len__(self) -> int:
        return len(self.labels)


@dataclass(frozen=True)
class Dataset:
    """Train (weights), validation (search, predictors) and test (finalists, once) examples, disjoint.

    ``classes``: values of the output. ``about`` travels with an exported network: what its inputs and outputs mean.
    """

    name: str
    classes: int
    train: Split
    validation: Split
    test: Split
    augment: Augment = unchanged
    task: Task = field(default_factory=Classification)
    about: Mapping[str, Any] = field(default_factory=dict)

    @property
    def shape(self) -> tuple[int, int, int]:
        """(c, h, w) of one image, or (sequences, t, 1) of one window of tokens."""
        sizes = [int(size) for size in self.train.images.shape[1:]]
        if self.train.images.dtype == torch.int64:
            return (1 if len(sizes) == 1 else sizes[0], sizes[-1], 1)
        return (sizes[0], sizes[1], sizes[2])

    def interface(self, batch: int) -> dict[str, Any]:
        """What has to be known to run a network of this many examples per call on its own."""
        given = self.train.images
        kind = str(given.dtype).removeprefix("torch.")
        return {"input_shape": [batch, *given.shape[1:]], "input_type": kind, **self.about}

    @cached_property
    def digest(self) -> str:
        """16 hex digits of the SHA-256 of all examples: files may change where they lie."""
        found = hashlib.sha256()
        for part in (self.train, self.validation, self.test):
            for tensor in (part.images, part.labels):
                found.update(f"{tensor.dtype} {list(tensor.shape)};".encode())
                found.update(tensor.contiguous().numpy().data)
        return found.hexdigest()[:16]


@dataclass(frozen=True)
class Scale:
    """Standardisation by one mean and one deviation of all pixels."""

    mean: float
    deviation: float

    @classmethod
    def of(cls, pixels: NDArray[Any]) -> Scale:
        """That of these pixels, of any shape: the training images. Bytes are counted, so that nothing is copied."""
        if pixels.dtype == np.uint8:
            counts = np.bincount(pixels.reshape(-1), minlength=256) / pixels.size
            values = np.arange(256)
            mean = float(counts @ values)
            deviation = float(np.sqrt(counts @ (values - mean) ** 2))
        else:
            mean, deviation = float(pixels.mean()), float(pixels.std())
        return cls(mean, deviation or 1.0)  # images of one colour stay finite

    def __call__(self, pixels: NDArray[Any]) -> Tensor:
        """Standardised, as float32 of the same shape."""
        standard = pixels.astype(np.float32)
        standard -= self.mean  # in place: a large dataset is there once as floats
        standard /= self.deviation
        return torch.from_numpy(standard)

    def to_json(self) -> dict[str, float]:
        """Both numbers."""
        return {"mean": self.mean, "deviation": self.deviation}


@dataclass(frozen=True)
class Chunks:
    """Some of the examples in batches of at most ``size``, cut when they are read, as often as one likes."""

    examples: Tensor
    rows: Tensor
    size: int = 128

    def __iter__(self) -> Iterator[Tensor]:
        for part in torch.split(self.rows, self.size):
            yield self.examples[part]


class Shuffled:
    """The ``Batches`` of a dataset: order and augmentation of an epoch depend on (seed, epoch) alone."""

    def __init__(self, dataset: Dataset, batch: int, seed: int, calibration_images: int = 512) -> None:
        self._dataset = dataset
        self._batch = min(batch, len(dataset.train))
        self._seed = seed
        self.calibration_images = min(calibration_images, len(dataset.train))

    @property
    def digest(self) -> str:
        """That of the dataset."""
        return self._dataset.digest

    @property
    def loss(self) -> str:
        """Name of the loss to train by."""
        return self._dataset.task.loss

    @property
    def steps(self) -> int:
        """Full mini-batches per epoch; the rest of the examples has its turn in another epoch."""
        return len(self._dataset.train) // self._batch

    def epoch(self, number: int) -> Iterator[tuple[Tensor, Tensor]]:
        """Mini-batches of this epoch."""
        split = self._dataset.train
        rng = generator(self._seed, "data.epoch", number)
        order = torch.from_numpy(rng.permutation(len(split)))
        for start in range(0, self.steps * self._batch, self._batch):
            yield self._dataset.augment(split, order[start : start + self._batch], rng)

    def calibration(self) -> Chunks:
        """The same training examples for every subnet, as they are."""
        order = generator(self._seed, "data.calibration").permutation(len(self._dataset.train))
        return Chunks(self._dataset.train.images, torch.from_numpy(order[: self.calibration_images]))
