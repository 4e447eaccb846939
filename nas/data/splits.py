"""A dataset in three disjoint splits, and the batches that training draws from it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from spaces.randomness import generator


@dataclass(frozen=True)
class Split:
    """``images`` (n, c, h, w) float32, standardised; ``labels`` (n,) int64."""

    images: Tensor
    labels: Tensor

    def __len__(self) -> int:
        return len(self.labels)


@dataclass(frozen=True)
class Pixels:
    """Raw images have values from ``low`` to ``high``; networks take them minus ``mean``, over ``deviation``."""

    low: float
    high: float
    mean: float
    deviation: float

    @classmethod
    def of(cls, train: NDArray[np.float32], low: float, high: float) -> Pixels:
        """With the statistics of the training images."""
        return cls(low, high, float(train.mean()), float(train.std()))

    def standardised(self, images: NDArray[np.float32]) -> Tensor:
        """Raw images as networks take them, float32."""
        return torch.from_numpy(((images - self.mean) / self.deviation).astype(np.float32))


@dataclass(frozen=True)
class Dataset:
    """Train (weights), validation (search, predictors) and test (finalists, once) images; ``names`` of the classes."""

    name: str
    names: tuple[str, ...]
    pixels: Pixels
    train: Split
    validation: Split
    test: Split
    shift: int  # pixels that augmentation may move an image, each way

    @property
    def classes(self) -> int:
        """How many there are."""
        return len(self.names)

    @property
    def shape(self) -> tuple[int, int, int]:
        """(c, h, w) of one image."""
        c, h, w = self.train.images.shape[1:]
        return int(c), int(h), int(w)

    def interface(self, batch: int) -> dict[str, Any]:
        """What has to be known to run a network on its own: its input, and what its outputs stand for."""
        return {"input": {"shape": [batch, *self.shape], **asdict(self.pixels)}, "classes": list(self.names)}


class Shuffled:
    """The ``Batches`` of a split: order and augmentation of an epoch depend on (seed, epoch) alone.

    Augmentation moves every image by up to ``dataset.shift`` pixels in each direction; what comes in at the border
    is the image's background value.
    """

    def __init__(self, dataset: Dataset, batch: int, seed: int, calibration_images: int = 512) -> None:
        self._dataset = dataset
        self._batch = min(batch, len(dataset.train))
        self._seed = seed
        self._calibration_images = min(calibration_images, len(dataset.train))

    @property
    def steps(self) -> int:
        """Full mini-batches per epoch; the rest of the images has its turn in another epoch."""
        return len(self._dataset.train) // self._batch

    def epoch(self, number: int) -> Iterator[tuple[Tensor, Tensor]]:
        """Mini-batches of this epoch."""
        split = self._dataset.train
        rng = generator(self._seed, "data.epoch", number)
        order = torch.from_numpy(rng.permutation(len(split)))
        for start in range(0, self.steps * self._batch, self._batch):
            rows = order[start : start + self._batch]
            yield self._shifted(split.images[rows], rng), split.labels[rows]

    def _shifted(self, images: Tensor, rng: np.random.Generator) -> Tensor:
        reach = self._dataset.shift
        if reach == 0:
            return images
        n, _, h, w = images.shape
        padded = F.pad(images, (reach, reach, reach, reach), value=float(self._dataset.train.images.min()))
        offsets = torch.from_numpy(rng.integers(0, 2 * reach + 1, size=(2, n)))
        rows = offsets[0][:, None] + torch.arange(h)
        columns = offsets[1][:, None] + torch.arange(w)
        return padded[torch.arange(n)[:, None, None], :, rows[:, :, None], columns[:, None, :]].permute(0, 3, 1, 2)

    def calibration(self) -> Sequence[Tensor]:
        """The same images for every subnet: four equally large batches."""
        rng = generator(self._seed, "data.calibration")
        rows = torch.from_numpy(rng.permutation(len(self._dataset.train))[: self._calibration_images // 4 * 4])
        return self._dataset.train.images[rows].chunk(4)
