"""``dataset: huggingface``: a local folder that ``save_to_disk`` of Hugging Face ``datasets`` wrote, of images or text.

Nothing is downloaded. ``column`` names the column of images or of texts; ``label`` that of the classes. Texts are put
one after the other, a line each. Splits ``train``, ``validation`` and ``test`` are taken where they are.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from nas.data import pictures, text
from nas.data.errors import DataError
from nas.data.npz import labels_of
from nas.data.parts import Labelled, check_classes, check_size, classified
from nas.data.request import Request
from nas.data.splits import Dataset
from nas.datasets import TOKENS
from spaces.yaml import nearest

PARTS = ("train", "validation", "test")
Table = Any  # datasets.Dataset: the package is an extra


def load(request: Request) -> Dataset:
    """Images standardised by the training part, or windows of tokens. Raises :class:`DataError`."""
    root = request.place("huggingface", "a folder that save_to_disk wrote")
    if request.reads == "pictures":
        raise DataError(root, "pictures to enlarge are not read from it", "wrong-dataset", "use super_resolution")
    package, parts = _opened(root)
    names = _checked_columns(root, parts, request)
    if request.reads in TOKENS:
        texts = {part: _text(f"{root}: {part}", table, names[0]) for part, table in parts.items()}
        return text.dataset_of("huggingface", root, texts, request)
    check_size(root, sum(len(table) for table in parts.values()), request.shape)
    given = {part: _images(f"{root}: {part}", table, package, names, request) for part, table in parts.items()}
    return classified("huggingface", root, request, given, _class_names(root, parts["train"], names[1], request))


def _opened(root: Path) -> tuple[Any, dict[str, Table]]:
    """The package, and the tables of the folder by part."""
    try:
        import datasets
    except ImportError as error:
        what = "the package datasets is needed, which is not installed"
        raise DataError("dataset huggingface", what, "missing-extra", "pip install 'nas[datasets]'") from error
    try:
        found = datasets.load_from_disk(str(root.resolve()))
    except Exception as error:  # of damaged files, of many types
        what = f"cannot be read as a folder that save_to_disk wrote: {error or type(error).__name__}"
        raise DataError(root, what, "damaged-file") from error
    parts = dict(found) if isinstance(found, Mapping) else {"train": found}
    unknown = [part for part in parts if part not in PARTS]
    if unknown or "train" not in parts:
        raise DataError(root, f"its splits are {', '.join(parts)}; expected {', '.join(PARTS)}", "wrong-split")
    return datasets, parts


def _checked_columns(root: Path, parts: Mapping[str, Table], request: Request) -> list[str]:
    """The column of the examples and, for images, that of the classes."""
    asked = [request.options.get("column") or ("text" if request.reads in TOKENS else "image")]
    if request.reads == "images":
        asked.append(request.options.get("label") or "label")
    for part, table in parts.items():
        for name in asked:
            if name not in table.column_names:
                near = nearest(name, table.column_names)
                hint = f"did you mean '{near}'?" if near else f"columns: {', '.join(table.column_names)}"
                raise DataError(f"{root}: {part}", f"no column '{name}'", "missing-column", hint)
    return asked


def _text(place: str, table: Table, column: str) -> str:
    found = list(table[column])
    if not all(isinstance(line, str) for line in found):
        raise DataError(place, f"column '{column}' holds something else than text", "wrong-type")
    if sum(map(len, found)) > text.MOST_BYTES:
        raise DataError(place, f"more than {text.MOST_BYTES} characters are not read", "too-large", "use a part of it")
    return "\n".join(found)


def _images(place: str, table: Table, package: Any, names: list[str], request: Request) -> Labelled:
    c, h, w = request.shape
    column, label = names
    if type(table.features[column]).__name__ != "Image":
        raise DataError(
            place, f"column '{column}' holds {type(table.features[column]).__name__}, not images", "wrong-type"
        )
    encoded = table.cast_column(column, package.Image(decode=False))  # decoded here, where sizes are checked first
    mode = pictures.channels(place, c)
    images = np.empty((len(table), c, h, w), np.uint8)
    for row, cell in enumerate(encoded[column]):
        data = cell["bytes"] if isinstance(cell, Mapping) else None
        if not isinstance(data, bytes):
            raise DataError(f"{place}, row {row}", "the image is not in the file itself", "missing-file")
        images[row] = pictures.fitted(pictures.opened(data, f"{place}, row {row}", mode), h, w)
    labels = np.array(list(table[label]))
    return Labelled(images, labels_of(place, f"column '{label}'", labels, len(images), request))


def _class_names(root: Path, table: Table, label: str, request: Request) -> list[str]:
    names = list(getattr(table.features[label], "names", None) or ())
    if names:
        check_classes(root, request, names)
    return names
