"""``dataset: digits``: 1,797 handwritten digits of 8x8 pixels that come inside scikit-learn."""

from __future__ import annotations

import numpy as np
import torch

from nas.data.augment import Shift
from nas.data.request import Request
from nas.data.splits import Dataset, Scale, Split
from spaces.randomness import generator

TEST, VALIDATION = 360, 360


def load(request: Request) -> Dataset:
    """A fixed split into 1,077 / 360 / 360 images, whatever the seed of a run; nothing is asked for."""
    from sklearn.datasets import load_digits

    found = load_digits()
    images = found.images.astype(np.float32)[:, None]
    labels = found.target.astype(np.int64)
    order = generator(0, "data.digits.split").permutation(len(labels))
    test, validation, train = np.split(order, [TEST, TEST + VALIDATION])

    scale = Scale.of(images[train])

    def split(rows: np.ndarray) -> Split:
        return Split(scale(images[rows]), torch.from_numpy(labels[rows]))

    parts = split(train), split(validation), split(test)
    return Dataset("digits", 10, *parts, Shift(1, float(parts[0].images.min())), about=scale.to_json())
