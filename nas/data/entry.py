"""``data: {entry: package.module:function}``: a function of the user's own, allowed by ``--plugin package``.

It is called with the mapping under ``options`` and returns ``{"train": (x, y), "validation": (x, y), "test": (x, y)}``,
of NumPy arrays or torch tensors, as the network reads and gives them:

- images x (n, c, h, w), classes y (n,);
- or windows of token numbers x (n, t), and the tokens after them y (n, t); for networks that see all tokens the right
  ones, or -100 where none is asked for; for networks of two sequences x (n, 2, t) and the tokens y (n, t) to give;
- or small pictures x (n, c, h, w) and large ones y (n, c, s*h, s*w), floats from 0 to 1.

Images in bytes are standardised by the training part; floats are taken as they are. Nothing is varied in training.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from nas.data.errors import DataError
from nas.data.request import Request
from nas.data.splits import Dataset, Scale, Split
from nas.data.tasks import Classification, MaskedToken, NextToken, SuperResolution, Task
from nas.datasets import TOKENS
from nas.plugins import NotAllowed, function
from supernets.training.losses import IGNORED

PARTS = ("train", "validation", "test")
Arrays = tuple[NDArray[Any], NDArray[Any]]


def load(request: Request) -> Dataset:
    """What the function returns, checked. Raises :class:`DataError`; what the function raises passes as it is."""
    entry = str(request.options["entry"])
    place = f"data entry {entry}"
    try:
        made = function(entry, request.plugins)
    except NotAllowed as error:
        raise DataError("space.data.entry", *error.args) from error
    returned = made(dict(request.options.get("options") or {}))
    parts = _parts(place, returned)
    for part, (x, y) in parts.items():
        _check_inputs(f"{place}: x of {part}", x, request)
        _check_targets(f"{place}: y of {part}", y, x, request)
    scale = Scale.of(parts["train"][0]) if parts["train"][0].dtype == np.uint8 else None
    train, validation, test = (_split(*parts[part], request, scale) for part in PARTS)
    tasks: dict[str, Task] = {
        "images": Classification(), "pictures": SuperResolution(request.scale),
        "tokens": NextToken(), "pairs": NextToken(), "gaps": MaskedToken(),
    }  # fmt: skip
    task = tasks[request.reads]
    return Dataset(entry, request.classes, train, validation, test, task=task, about=scale.to_json() if scale else {})


def _parts(place: str, returned: object) -> dict[str, Arrays]:
    """The three parts as arrays."""
    if not isinstance(returned, Mapping) or set(returned) != set(PARTS):
        found = f"keys {', '.join(map(str, returned))}" if isinstance(returned, Mapping) else type(returned).__name__
        what = f"it returned {found}, expected a mapping with {', '.join(PARTS)}"
        raise DataError(place, what, "wrong-type")
    parts = {}
    for part in PARTS:
        pair = returned[part]
        if not isinstance(pair, tuple | list) or len(pair) != 2:
            raise DataError(f"{place}: {part}", f"{_kind(pair)}, expected a pair (x, y)", "wrong-type")
        parts[part] = (_array(f"{place}: x of {part}", pair[0]), _array(f"{place}: y of {part}", pair[1]))
    return parts


def _array(place: str, value: object) -> NDArray[Any]:
    if isinstance(value, torch.Tensor):
        value = (value.float() if value.is_floating_point() else value).detach().cpu().numpy()
    if not isinstance(value, np.ndarray):
        raise DataError(place, f"{_kind(value)}, expected a NumPy array or a torch tensor", "wrong-type")
    if value.dtype.kind not in "uif":
        raise DataError(place, f"an array of {value.dtype}, expected whole numbers or floats", "wrong-type")
    return value


def _check_inputs(place: str, x: NDArray[Any], request: Request) -> None:
    tokens = request.reads in TOKENS
    shape: tuple[int, ...] = request.shape
    if tokens:
        shape = request.shape[:2] if request.reads == "pairs" else request.shape[1:2]
    if x.shape[1:] != shape or not len(x):
        expected = ", ".join(str(size) for size in shape)
        raise DataError(place, f"shape {x.shape}, expected (n, {expected}) as the network reads", "wrong-shape")
    if tokens:
        _check_range(place, x, request.classes)
    elif request.reads == "pictures":
        _check_picture(place, x)
    elif x.dtype != np.uint8 and x.dtype.kind != "f":
        raise DataError(place, f"an array of {x.dtype}, expected floats or uint8", "wrong-type")
    elif x.dtype.kind == "f" and not np.isfinite(x).all():
        raise DataError(place, "values that are not finite", "wrong-value")


def _check_targets(place: str, y: NDArray[Any], x: NDArray[Any], request: Request) -> None:
    c, h, w = request.shape
    shapes = {"images": (len(x),), "pictures": (len(x), c, request.scale * h, request.scale * w)}
    shape = shapes.get(request.reads, (len(x), h))
    if y.shape != shape:
        raise DataError(place, f"shape {y.shape}, expected {shape}", "wrong-shape")
    if request.reads == "pictures":
        _check_picture(place, y)
    elif request.reads == "gaps":
        _check_range(place, y[y != IGNORED], request.classes)
    else:
        _check_range(place, y, request.classes)


def _check_range(place: str, numbers: NDArray[Any], most: int) -> None:
    if numbers.dtype.kind not in "ui":
        raise DataError(place, f"an array of {numbers.dtype}, expected whole numbers", "wrong-type")
    if not numbers.size:
        raise DataError(place, f"nothing but {IGNORED}, which asks for nothing", "wrong-value")
    low, high = int(numbers.min()), int(numbers.max())
    if low < 0 or high >= most:
        raise DataError(place, f"numbers from {low} to {high}, expected 0 to {most - 1}", "wrong-value")


def _check_picture(place: str, x: NDArray[Any]) -> None:
    if x.dtype.kind != "f":
        raise DataError(place, f"an array of {x.dtype}, expected floats from 0 to 1", "wrong-type")
    if not (x.min() >= 0 and x.max() <= 1):  # also where a value is not a number
        raise DataError(place, f"values from {x.min():g} to {x.max():g}, expected 0 to 1", "wrong-value")


def _split(x: NDArray[Any], y: NDArray[Any], request: Request, scale: Scale | None) -> Split:
    kind = np.int64 if request.reads in TOKENS else np.float32
    inputs = scale(x) if scale is not None else torch.from_numpy(x.astype(kind))
    return Split(inputs, torch.from_numpy(y.astype(np.float32 if request.reads == "pictures" else np.int64)))


def _kind(value: object) -> str:
    return f"a {type(value).__name__}"
