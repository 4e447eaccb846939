"""``dataset: images``: a folder of PNG or JPEG files per class, or an NPZ file with arrays of images and classes.

Folders ``train`` and ``test`` (and ``validation``) above those of the classes are taken as the split; otherwise it is
drawn. Pictures are cropped around their middle and resized to the network's input; an NPZ file must have its size.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from nas.data import npz, pictures
from nas.data.errors import DataError
from nas.data.parts import Labelled, check_classes, check_size, classified
from nas.data.request import Request
from nas.data.splits import Dataset
from spaces.yaml import nearest

PARTS = ("test", "train", "validation")


def load(request: Request) -> Dataset:
    """Images standardised by the training part. Raises :class:`DataError` naming the file or folder that is wrong."""
    root = request.place("images", "a folder with a folder of PNG or JPEG files per class, or an NPZ file")
    if root.is_file():
        if root.suffix.lower() != ".npz":
            raise DataError(root, "expected a folder with a folder per class, or an NPZ file", "wrong-file")
        return classified("images", root, request, npz.labelled(root, request, (npz.PARTS, npz.WHOLE)))
    parts = parts_of(root)
    names = sorted(path.name for path in folders(parts["train"]))
    if not names:
        what = "no folders in it; expected a folder of PNG or JPEG files per class"
        raise DataError(parts["train"], what, "missing-file")
    check_classes(parts["train"], request, names)
    listed = {part: _listed(folder, names) for part, folder in parts.items()}
    check_size(root, sum(len(files) for files in listed.values()), request.shape)
    given = {part: _read(parts[part], files, request) for part, files in listed.items()}
    return classified("images", root, request, given, names)


def folders(root: Path) -> list[Path]:
    """The folders in a folder by name, hidden ones left out."""
    return sorted(path for path in root.iterdir() if path.is_dir() and not path.name.startswith("."))


def parts_of(root: Path) -> Mapping[str, Path]:
    """The folder of each part, if there is one for ``train`` and one for ``test``; else all as ``train``."""
    found = {path.name: path for path in folders(root)}
    if not {"train", "test"} <= found.keys():
        return {"train": root}
    for name, path in found.items():
        if name not in PARTS:
            near = nearest(name, PARTS)
            hint = f"did you mean '{near}'?" if near else f"beside train and test only {PARTS[-1]} is read"
            raise DataError(path, "a folder beside train and test that is neither", "wrong-file", hint)
    return found


def _listed(folder: Path, names: Sequence[str]) -> list[tuple[Path, int]]:
    """Files with the number of their class."""
    found = []
    for path in folders(folder):
        if path.name not in names:
            near = nearest(path.name, names)
            hint = f"did you mean '{near}'?" if near else f"classes: {', '.join(names[:10])}"
            raise DataError(path, "a class that the training images have not", "wrong-label", hint)
        found += [(file, names.index(path.name)) for file in pictures.files_of(path)]
    if not found:
        raise DataError(folder, "no PNG or JPEG files in the folders of its classes", "missing-file")
    return found


def _read(folder: Path, files: Sequence[tuple[Path, int]], request: Request) -> Labelled:
    c, h, w = request.shape
    mode = pictures.channels(folder, c)
    images = np.empty((len(files), c, h, w), np.uint8)
    for row, (path, _) in enumerate(files):
        images[row] = pictures.fitted(pictures.opened(path, path, mode), h, w)
    return Labelled(images, np.array([label for _, label in files], np.int64))
