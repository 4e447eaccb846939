"""``dataset: fashion_mnist``: a folder of IDX files, plain or gzipped, named by ``data.root``."""

from __future__ import annotations

import gzip
import struct
import zlib
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from nas.data.augment import Shift
from nas.data.errors import DataError
from nas.data.request import Request
from nas.data.splits import Dataset, Scale, Split
from spaces.randomness import generator

VALIDATION = 5_000
CLASSES, SIDE = 10, 28
NAMES = ("T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot")
_MOST_BYTES = 1_000_000_000


def load(request: Request) -> Dataset:
    """55,000 / 5,000 / 10,000 images of 28x28 pixels; ``limit`` cuts the first.

    Raises :class:`DataError` naming the file that is wrong.
    """
    root = request.place("fashion_mnist", "a folder with train-images-idx3-ubyte[.gz] and its three companions")
    parts = {part: _part(root, part) for part in ("train", "t10k")}
    images, labels = parts["train"]
    if len(images) <= VALIDATION:
        what = f"{len(images)} training images leave none after {VALIDATION} for validation"
        raise DataError(root, what, "too-few")
    order = generator(0, "data.fashion_mnist.split").permutation(len(labels))
    validation, train = order[:VALIDATION], order[VALIDATION:][: request.options.get("limit")]
    scale = Scale.of(images[train])

    def split(these: NDArray[np.float32], names: NDArray[np.int64]) -> Split:
        return Split(scale(these), torch.from_numpy(names))

    learned = split(images[train], labels[train])
    rest = split(images[validation], labels[validation]), split(*parts["t10k"])
    options = request.options
    augment = Shift(options.get("shift", 2), float(learned.images.min()), options.get("flip", False))
    about = {**scale.to_json(), "low": 0, "high": 255, "classes": list(NAMES)}
    return Dataset("fashion_mnist", CLASSES, learned, *rest, augment, about=about)


def _part(root: Path, part: str) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    pixels = _read(root, f"{part}-images-idx3-ubyte", 3)
    classes = _read(root, f"{part}-labels-idx1-ubyte", 1)
    if len(pixels) != len(classes):
        raise DataError(root, f"{len(pixels)} {part} images but {len(classes)} labels", "wrong-shape")
    if pixels.shape[1:] != (SIDE, SIDE) or not len(pixels):
        what = f"{part} images of shape {pixels.shape}, expected some of {SIDE}x{SIDE} pixels"
        raise DataError(root, what, "wrong-shape")
    if classes.max() >= CLASSES:
        raise DataError(root, f"a {part} label is {classes.max()}, expected 0 to {CLASSES - 1}", "wrong-label")
    return pixels[:, None].astype(np.float32), classes.astype(np.int64)


def _read(root: Path, name: str, dimensions: int) -> NDArray[np.uint8]:
    for path in (root / name, root / f"{name}.gz"):
        if path.exists():
            try:
                with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as file:
                    data = file.read(_MOST_BYTES)
            except (OSError, EOFError, zlib.error) as error:
                raise DataError(path, f"cannot be read: {error}", "damaged-file") from error
            return _array(path, data, dimensions)
    what = f"no such file, plain or .gz; expected the four IDX files of Fashion-MNIST in {root}"
    raise DataError(root / name, what, "missing-file")


def _array(path: Path, data: bytes, dimensions: int) -> NDArray[np.uint8]:
    header = 4 + 4 * dimensions
    if len(data) < header or data[:4] != bytes([0, 0, 8, dimensions]):
        raise DataError(path, f"not an IDX file of bytes with {dimensions} dimension(s)", "damaged-file")
    shape = struct.unpack(f">{dimensions}I", data[4:header])
    if len(data) - header != int(np.prod(shape, dtype=np.int64)):
        raise DataError(path, f"the header says {shape}, but {len(data) - header} bytes follow", "damaged-file")
    return np.frombuffer(data, np.uint8, offset=header).reshape(shape)
