"""``dataset: digits``: 1,797 handwritten digits of 8x8 pixels that come inside scikit-learn."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from nas.data.splits import Dataset, Pixels, Split
from spaces.randomness import generator

TEST, VALIDATION = 360, 360


def load(root: Path | None) -> Dataset:
    """A fixed split into 1,077 / 360 / 360 images, whatever the seed of a run; ``root`` is not needed."""
    from sklearn.datasets import load_digits

    found = load_digits()
    images = found.images.astype(np.float32)[:, None]
    labels = found.target.astype(np.int64)
    order = generator(0, "data.digits.split").permutation(len(labels))
    test, validation, train = np.split(order, [TEST, TEST + VALIDATION])
    pixels = Pixels.of(images[train], 0, 16)

    def split(rows: np.ndarray) -> Split:
        return Split(pixels.standardised(images[rows]), torch.from_numpy(labels[rows]))

    names = tuple(map(str, found.target_names))
    return Dataset("digits", names, pixels, split(train), split(validation), split(test), shift=1)
