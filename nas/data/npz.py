"""Arrays from an NPZ file. Only numbers are read: types and sizes are checked before the data, nothing is unpickled."""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from nas.data.errors import DataError
from nas.data.parts import MOST_BYTES, Labelled
from nas.data.request import Request

_HEADERS = {(1, 0): npy.read_array_header_1_0, (2, 0): npy.read_array_header_2_0}
WHOLE, PARTS = ("x", "y"), ("x_train", "y_train", "x_test", "y_test")


def labelled(path: Path, request: Request, forms: Sequence[Collection[str]]) -> dict[str, Labelled]:
    """``train``, and ``test`` if it is apart, of images x (n, h, w[, c]) in bytes or floats and classes y (n,).

    Raises:
        DataError: no NPZ file, damaged, other arrays, or other images and classes than the network takes.
    """
    found = arrays(path, forms)
    ends = {"train": "_train" if "x_train" in found else "", "test": "_test"}
    pairs = {part: (f"x{end}", f"y{end}") for part, end in ends.items() if f"x{end}" in found}
    return {
        part: Labelled(images_of(path, x, found[x], request), labels_of(path, y, found[y], len(found[x]), request))
        for part, (x, y) in pairs.items()
    }


def images_of(place: object, name: str, x: NDArray[Any], request: Request) -> NDArray[Any]:
    """``x`` (n, h, w) or (n, h, w, c) as (n, c, h, w), bytes or finite float32. Raises :class:`DataError`."""
    c, h, w = request.shape
    given = x[..., None] if x.ndim == 3 else x
    if given.shape[1:] != (h, w, c) or not len(given):
        what = f"{name} has shape {x.shape}, expected (n, {h}, {w}{'' if c == 1 else f', {c}'}) as the network reads"
        raise DataError(place, what, "wrong-shape", "write the shape of an image as input in the model section")
    if x.dtype != np.uint8 and x.dtype.kind != "f":
        raise DataError(place, f"{name} holds {x.dtype}, expected uint8 or floats", "wrong-type")
    if x.dtype.kind == "f":
        with np.errstate(over="ignore"):
            given = given.astype(np.float32)
        if not np.isfinite(given).all():
            raise DataError(place, f"{name} has values that are not finite", "wrong-value")
    return np.ascontiguousarray(given.transpose(0, 3, 1, 2))


def labels_of(place: object, name: str, y: NDArray[Any], count: int, request: Request) -> NDArray[np.int64]:
    """``y`` (n,) as int64, checked to be classes of the network. Raises :class:`DataError`."""
    if y.dtype.kind not in "iu":
        raise DataError(place, f"{name} holds {y.dtype}, expected whole numbers", "wrong-type")
    if y.shape != (count,):
        raise DataError(place, f"{name} has shape {y.shape}, expected ({count},): one class per image", "wrong-shape")
    low, high = int(y.min()), int(y.max())
    if low < 0 or high >= request.classes:
        what = f"{name} has classes from {low} to {high}, expected 0 to {request.classes - 1}"
        raise DataError(place, what, "wrong-label", "write their number as classes in the model section")
    return y.astype(np.int64)


def arrays(path: Path, forms: Sequence[Collection[str]]) -> dict[str, NDArray[Any]]:
    """The arrays of the first of ``forms`` (sets of names) that the file has. Raises :class:`DataError`."""
    try:
        with ZipFile(path) as archive:
            there = [name.removesuffix(".npy") for name in archive.namelist()]
            names = next((form for form in forms if set(form) <= set(there)), None)
            if names is None:
                expected = ", or ".join(", ".join(form) for form in forms)
                what = f"it has the arrays {', '.join(there[:10]) or 'none'}; expected {expected}"
                raise DataError(path, what, "wrong-arrays")
            return {name: _array(path, archive, name) for name in names}
    except DataError:
        raise
    except Exception as error:  # zip, its three compressions and NumPy's header have errors of many types
        raise DataError(path, f"cannot be read as NPZ: {error or type(error).__name__}", "damaged-file") from error


def _array(path: Path, archive: ZipFile, name: str) -> NDArray[Any]:
    with archive.open(f"{name}.npy") as file:
        version = npy.read_magic(file)
        if version not in _HEADERS:
            raise DataError(path, f"{name} is of NPY version {version}, expected 1.0 or 2.0", "damaged-file")
        shape, by_column, dtype = _HEADERS[version](file)
        if dtype.kind not in "uif":
            raise DataError(path, f"{name} holds {dtype}, expected whole numbers or floats", "wrong-type")
        size = math.prod(shape) * dtype.itemsize
        if not 0 <= size <= MOST_BYTES or min(shape, default=0) < 0:
            what = f"{name} has shape {shape} and {size} bytes, at most {MOST_BYTES} are read"
            raise DataError(path, what, "too-large")
        data = file.read(size + 1)  # one more, so that the end is reached and the checksum checked
    if len(data) != size:
        what = f"{name} has shape {shape}, which is {size} bytes; found {'more' if len(data) > size else len(data)}"
        raise DataError(path, what, "damaged-file")
    return np.frombuffer(data, dtype).reshape(shape, order="F" if by_column else "C")
