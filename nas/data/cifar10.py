"""``dataset: cifar10``: the folder of the published binary version, or an NPZ file.

Source: Krizhevsky 2009, "Learning Multiple Layers of Features from Tiny Images". The Python version is made of pickles,
which can run code, and is refused.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from nas.data import npz
from nas.data.errors import DataError
from nas.data.parts import Labelled, classified
from nas.data.request import Request
from nas.data.splits import Dataset

NAMES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
TRAIN, TEST = tuple(f"data_batch_{i}.bin" for i in range(1, 6)), "test_batch.bin"
ROWS = 10_000  # images of one file
SHAPE = (3, 32, 32)
_ROW_BYTES = 1 + 3 * 32 * 32  # class, red, green, blue
_PUBLISHED = "take the binary version of https://www.cs.toronto.edu/~kriz/cifar.html, cifar-10-binary.tar.gz, unpacked"


def load(request: Request) -> Dataset:
    """45,000 / 5,000 / 10,000 images of 32x32 pixels in colour. Raises :class:`DataError` naming the wrong file."""
    root = request.place("cifar10", f"a folder with {TRAIN[0]} to {TRAIN[-1]} and {TEST}, or an NPZ file")
    _refuse_pickles(root)
    if root.is_file():
        if root.suffix.lower() != ".npz":
            raise DataError(root, "expected the folder of the binary version, or an NPZ file", "wrong-file", _PUBLISHED)
        given = npz.labelled(root, request, (npz.PARTS,))
    else:
        parts = [_read(root / name) for name in TRAIN]
        images, labels = (np.concatenate([getattr(p, part) for p in parts]) for part in ("images", "labels"))
        given = {"train": Labelled(images, labels), "test": _read(root / TEST)}
    return classified("cifar10", root, request, given, NAMES)


def _refuse_pickles(root: Path) -> None:
    names = [root.name] if root.is_file() else [path.name for path in root.iterdir()]
    pickles = sorted({*names} & {"batches.meta", "test_batch", *(name.removesuffix(".bin") for name in TRAIN)})
    if pickles and TRAIN[0] not in names:
        what = f"'{pickles[0]}' is of the Python version, made of pickles, which can run code and are not read"
        raise DataError(root, what, "pickle", _PUBLISHED)


def _read(path: Path) -> Labelled:
    size = ROWS * _ROW_BYTES
    try:
        with path.open("rb") as file:
            data = file.read(size + 1)
    except FileNotFoundError:
        what = f"no such file; expected {ROWS} images in {size} bytes"
        raise DataError(path, what, "missing-file", _PUBLISHED) from None
    except OSError as error:
        raise DataError(path, f"cannot be read: {error.strerror}", "damaged-file") from error
    if len(data) != size:
        found = "more" if len(data) > size else len(data)
        raise DataError(path, f"expected {ROWS} images in {size} bytes, found {found}", "damaged-file")
    rows = np.frombuffer(data, np.uint8).reshape(ROWS, _ROW_BYTES)
    labels = rows[:, 0].astype(np.int64)
    if labels.max() >= len(NAMES):
        raise DataError(path, f"a class is {labels.max()}, expected 0 to {len(NAMES) - 1}", "damaged-file")
    return Labelled(rows[:, 1:].reshape(ROWS, *SHAPE), labels)
