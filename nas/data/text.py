"""``dataset: text``: a UTF-8 file, to predict characters or bytes: the next ones, or those in gaps.

The file is cut by position, without shuffling: training, then validation, then test. Each part is cut into windows as
long as the network reads; see :mod:`nas.data.windows`. In training every window begins at a random place less than a
window further on, so that over the epochs all places are seen.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from nas.data.errors import DataError
from nas.data.request import Request
from nas.data.splits import Dataset, Split
from nas.data.windows import Moved, Window, window_of

MOST_BYTES = 200_000_000  # of text; as token numbers it takes eight times that


def load(request: Request) -> Dataset:
    """Windows of tokens and their successors. Raises :class:`DataError` naming the file and what was expected."""
    path = request.place("text", "a UTF-8 text file")
    return dataset_of("text", path, {"train": read(path)}, request)


def dataset_of(name: str, place: object, texts: Mapping[str, str], request: Request) -> Dataset:
    """The dataset of one text (``train``), or of a text for each part. Raises :class:`DataError`.

    The vocabulary is that of all parts, in the order of code points; bytes have the 256 that there are.
    """
    options = request.options
    as_bytes = options.get("tokens") == "bytes"
    values = {part: _values(text, as_bytes) for part, text in texts.items()}
    vocabulary = np.arange(256) if as_bytes else np.unique(np.concatenate(list(values.values())))
    gaps = request.reads == "gaps"
    needed = len(vocabulary) + gaps
    if needed > request.classes:
        found = f"{len(vocabulary)} different {'bytes' if as_bytes else 'characters'}{' and the mask' if gaps else ''}"
        what, hint = f"{found}, but the network's vocabulary", f"write vocabulary: {needed} in the model section"
        raise DataError(place, f"{what} is {request.classes}", "wrong-classes", hint)
    tokens = {part: torch.from_numpy(np.searchsorted(vocabulary, found)) for part, found in values.items()}
    window = window_of(request.reads, request.shape[1], len(vocabulary))
    parts = _parted(tokens, options)
    train, validation, test = (_windows(place, part, parts[part], window) for part in ("train", "validation", "test"))
    about: dict[str, Any] = {"tokens": "bytes" if as_bytes else "characters"}
    if not as_bytes:
        about["vocabulary"] = [chr(code) for code in vocabulary]
    if gaps:
        about["mask"] = len(vocabulary)
    moved = Moved(parts["train"], window)
    return Dataset(name, request.classes, train, validation, test, moved, window.task, about)


def read(path: Path) -> str:
    """The text of a file. Raises :class:`DataError` if it is missing, too long or not UTF-8."""
    if not path.is_file():
        raise DataError(path, "not a file; expected a UTF-8 text file", "wrong-file")
    try:
        with path.open("rb") as file:
            data = file.read(MOST_BYTES + 1)
    except OSError as error:
        raise DataError(path, f"cannot be read: {error.strerror}", "damaged-file") from error
    if len(data) > MOST_BYTES:
        raise DataError(path, f"more than {MOST_BYTES} bytes are not read", "too-large", "use a part of it")
    try:
        return data.decode("utf-8-sig")  # some editors begin a file with a mark
    except UnicodeDecodeError as error:
        what = f"not UTF-8: byte {data[error.start]:#04x} at {error.start}"
        raise DataError(path, what, "damaged-file", "convert it to UTF-8") from error


def _values(text: str, as_bytes: bool) -> NDArray[Any]:
    """Bytes or code points (n,)."""
    return np.frombuffer(text.encode(), np.uint8) if as_bytes else np.frombuffer(text.encode("utf-32-le"), "<u4")


def _parted(tokens: Mapping[str, Tensor], options: Mapping[str, Any]) -> dict[str, Tensor]:
    """What is absent is taken from the end of the training text: validation first, then test."""
    absent = [part for part in ("validation", "test") if part not in tokens]
    whole = tokens["train"]
    sizes = [round(options.get(part, 0.05) * len(whole)) for part in absent]
    cut = torch.split(whole, [len(whole) - sum(sizes), *sizes])
    return {**tokens, **dict(zip(["train", *absent], cut, strict=True))}


def _windows(place: object, part: str, tokens: Tensor, window: Window) -> Split:
    if len(tokens) < window.span:
        what = f"its {part} part has {len(tokens)} tokens, expected {window.span} at least: those of a window"
        raise DataError(place, what, "too-few", "use a longer text, or fewer tokens in the model section")
    return window.split(tokens)
