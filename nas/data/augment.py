"""How training examples are varied: each draw depends on the generator alone. Shapes as in :class:`nas.data.Split`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

if TYPE_CHECKING:
    from nas.data.splits import Split

Augment = Callable[["Split", Tensor, np.random.Generator], tuple[Tensor, Tensor]]
"""From a split, row numbers (b,) and a generator to a mini-batch of inputs and targets."""


def unchanged(split: Split, rows: Tensor, rng: np.random.Generator) -> tuple[Tensor, Tensor]:
    """The examples as they are."""
    return split.images[rows], split.labels[rows]


@dataclass(frozen=True)
class Shift:
    """Moves every image by up to ``pixels`` each way; with ``flip`` mirrors one in two, left and right.

    What comes in at the border has the value ``background``.
    """

    pixels: int
    background: float = 0.0
    flip: bool = False

    def __call__(self, split: Split, rows: Tensor, rng: np.random.Generator) -> tuple[Tensor, Tensor]:
        images = self._shifted(split.images[rows], rng)
        if self.flip:
            mirrored = torch.from_numpy(rng.random(len(rows)) < 0.5)
            images = torch.where(mirrored[:, None, None, None], images.flip(3), images)
        return images, split.labels[rows]

    def _shifted(self, images: Tensor, rng: np.random.Generator) -> Tensor:
        reach = self.pixels
        if reach == 0:
            return images
        n, _, h, w = images.shape
        padded = F.pad(images, (reach, reach, reach, reach), value=self.background)
        offsets = torch.from_numpy(rng.integers(0, 2 * reach + 1, size=(2, n)))
        rows = offsets[0][:, None] + torch.arange(h)
        columns = offsets[1][:, None] + torch.arange(w)
        return padded[torch.arange(n)[:, None, None], :, rows[:, :, None], columns[:, None, :]].permute(0, 3, 1, 2)
