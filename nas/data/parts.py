"""Splitting: fixed, disjoint parts of examples, and the dataset that labelled images make."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from nas.data.augment import Shift
from nas.data.errors import DataError
from nas.data.request import Request
from nas.data.splits import Dataset, Scale, Split
from spaces.randomness import generator

MOST_BYTES = 16 * 1024**3  # of all examples of a dataset as floats: they are held in memory
HELD = ("test", "validation")


@dataclass(frozen=True)
class Labelled:
    """``images`` (n, c, h, w) of bytes or float32; ``labels`` (n,) int64."""

    images: NDArray[Any]
    labels: NDArray[np.int64]

    def __getitem__(self, rows: NDArray[np.int64] | slice) -> Labelled:
        return Labelled(self.images[rows], self.labels[rows])


def parted(place: object, count: int, shares: Sequence[float], purpose: str) -> list[NDArray[np.int64]]:
    """Row numbers of one part for each share of ``count``, at least one, and of the rest; whatever the seed of a run.

    Raises :class:`DataError` if fewer than two are left.
    """
    sizes = [max(1, round(share * count)) for share in shares]
    if count - sum(sizes) < 2:
        raise DataError(place, f"{count} examples are too few to be split into three parts", "too-few")
    order = generator(0, purpose).permutation(count)
    return np.split(order, np.cumsum(sizes))


def check_size(place: object, count: int, shape: Sequence[int]) -> None:
    """Refuse more examples of this shape than fit into memory. Raises :class:`DataError`."""
    needed = 4 * count * int(np.prod(shape, dtype=object))
    if needed > MOST_BYTES:
        what = f"{count} examples of shape {list(shape)} take {needed / 1e9:.1f} GB of memory"
        raise DataError(place, f"{what}, at most {MOST_BYTES / 1e9:.1f} GB are read", "too-large", "use a part of them")


def check_classes(place: object, request: Request, names: Sequence[str]) -> None:
    """Refuse data with other classes than the network gives. Raises :class:`DataError`."""
    if len(names) != request.classes:
        some = ", ".join(names[:5]) + (", …" if len(names) > 5 else "")
        what = f"{len(names)} classes ({some}), but the network gives {request.classes}"
        raise DataError(place, what, "wrong-classes", f"write classes: {len(names)} in the model section")


def classified(
    name: str, place: object, request: Request, given: Mapping[str, Labelled], names: Sequence[str] = ()
) -> Dataset:
    """The dataset of ``given`` parts: ``train``, and ``validation`` and ``test`` where the data have their own.

    An absent part is taken from ``train``, as large as the option of its name says. Images are standardised by the mean
    and deviation of all pixels of the training part, which ``limit`` may cut short.
    """
    options, parts = request.options, dict(given)
    absent = [part for part in HELD if part not in parts]
    if absent:
        whole = parts["train"]
        shares = [options.get(part, 0.1) for part in absent]
        *held, rest = parted(place, len(whole.labels), shares, f"data.{name}.split")
        parts |= {part: whole[rows] for part, rows in zip(absent, held, strict=True)} | {"train": whole[rest]}
    train = parts["train"][: options.get("limit")]
    scale = Scale.of(train.images)

    def split(part: Labelled) -> Split:
        return Split(scale(part.images), torch.from_numpy(part.labels))

    learned = split(train)
    augment = Shift(options.get("shift", 0), float(learned.images.min()), options.get("flip", False))
    about = {**scale.to_json(), **({"classes": list(names)} if names else {})}
    held_out = split(parts["validation"]), split(parts["test"])
    return Dataset(name, request.classes, learned, *held_out, augment, about=about)
