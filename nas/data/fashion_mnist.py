"""``dataset: fashion_mnist``: a folder of IDX files, plain or gzipped, named by ``data.root``."""

from __future__ import annotations

import gzip
import struct
import zlib
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from nas.data.errors import DataError
from nas.data.splits import Dataset, Pixels, Split
from spaces.randomness import generator

VALIDATION = 5_000
SIDE = 28
NAMES = ("T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot")
_MOST_BYTES = 1_000_000_000


def load(root: Path | None) -> Dataset:
    """55,000 / 5,000 / 10,000 images of 28x28 pixels. Raises :class:`DataError` naming the file that is wrong."""
    if root is None:
        raise DataError(
            "dataset fashion_mnist needs data.root: a folder with train-images-idx3-ubyte[.gz] and its three companions"
        )
    parts = {}
    for part in ("train", "t10k"):
        pixels = _read(root, f"{part}-images-idx3-ubyte", 3)
        classes = _read(root, f"{part}-labels-idx1-ubyte", 1)
        if len(pixels) != len(classes):
            raise DataError(f"{root}: {len(pixels)} {part} images but {len(classes)} labels")
        if pixels.shape[1:] != (SIDE, SIDE) or not len(pixels):
            raise DataError(f"{root}: {part} images of shape {pixels.shape}, expected some of {SIDE}x{SIDE} pixels")
        if classes.max() >= len(NAMES):
            raise DataError(f"{root}: a {part} label is {classes.max()}, expected 0 to {len(NAMES) - 1}")
        parts[part] = (pixels[:, None].astype(np.float32), classes.astype(np.int64))
    images, labels = parts["train"]
    if len(images) <= VALIDATION:
        raise DataError(f"{root}: {len(images)} training images leave none after {VALIDATION} for validation")
    order = generator(0, "data.fashion_mnist.split").permutation(len(labels))
    validation, train = order[:VALIDATION], order[VALIDATION:]

    scale = Pixels.of(images[train], 0, 255)

    def split(these: NDArray[np.float32], names: NDArray[np.int64]) -> Split:
        return Split(scale.standardised(these), torch.from_numpy(names))

    return Dataset(
        "fashion_mnist",
        NAMES,
        scale,
        split(images[train], labels[train]),
        split(images[validation], labels[validation]),
        split(*parts["t10k"]),
        shift=2,
    )


def _read(root: Path, name: str, dimensions: int) -> NDArray[np.uint8]:
    for path in (root / name, root / f"{name}.gz"):
        if path.exists():
            try:
                with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as file:
                    data = file.read(_MOST_BYTES)
            except (OSError, EOFError, zlib.error) as error:
                raise DataError(f"{path}: cannot be read: {error}") from error
            return _array(path, data, dimensions)
    raise DataError(
        f"{root / name}: no such file, plain or .gz; expected the four IDX files of Fashion-MNIST in {root}"
    )


def _array(path: Path, data: bytes, dimensions: int) -> NDArray[np.uint8]:
    header = 4 + 4 * dimensions
    if len(data) < header or data[:4] != bytes([0, 0, 8, dimensions]):
        raise DataError(f"{path}: not an IDX file of bytes with {dimensions} dimension(s)")
    shape = struct.unpack(f">{dimensions}I", data[4:header])
    if len(data) - header != int(np.prod(shape, dtype=np.int64)):
        raise DataError(f"{path}: the header says {shape}, but {len(data) - header} bytes follow")
    return np.frombuffer(data, np.uint8, offset=header).reshape(shape)
