"""``dataset: super_resolution``: a folder of PNG files, to make small pictures 2, 3 or 4 times as high and wide.

Each picture is cut to a multiple of the scale and made smaller as a whole by Pillow's bicubic filter, which widens with
the scale (antialiased, a = -1/2), in 8 bits. The network's input says the size of the small crops. Training draws them
from random places, mirrored and transposed, always the same place in both pictures. Validation and test see crops that
tile each picture from its middle, or with ``evaluate: centre`` one in its middle. Values run from 0 to 1.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from nas.data import images, pictures
from nas.data.errors import DataError
from nas.data.parts import HELD, check_size, parted
from nas.data.request import Request
from nas.data.splits import Dataset, Split
from nas.data.tasks import SuperResolution

SCALES = (2, 3, 4)


@dataclass(frozen=True)
class Pair:
    """A picture in 8 bits, ``small`` (c, h, w) and ``large`` (c, s*h, s*w)."""

    small: NDArray[np.uint8]
    large: NDArray[np.uint8]

    def crop(self, top: int, left: int, height: int, width: int, scale: int) -> tuple[Tensor, Tensor]:
        """The same place in both, with values from 0 to 1; ``top`` and the others count small pixels."""
        cut = self.small[:, top : top + height, left : left + width]
        same = self.large[:, scale * top : scale * (top + height), scale * left : scale * (left + width)]
        return _floats(cut), _floats(same)


@dataclass(frozen=True)
class Crops:
    """A random crop for each training crop, of the picture ``owners`` (n,) says, in one of its eight positions."""

    pairs: Sequence[Pair]
    owners: NDArray[np.int64]
    scale: int

    def __call__(self, split: Split, rows: Tensor, rng: np.random.Generator) -> tuple[Tensor, Tensor]:
        height, width = split.images.shape[2:]
        made = [self._draw(self.pairs[self.owners[row]], height, width, rng) for row in rows.tolist()]
        return torch.stack([small for small, _ in made]), torch.stack([large for _, large in made])

    def _draw(self, pair: Pair, height: int, width: int, rng: np.random.Generator) -> tuple[Tensor, Tensor]:
        h, w = pair.small.shape[1:]
        top, left = int(rng.integers(h - height + 1)), int(rng.integers(w - width + 1))
        down, across, over = (bool(bit) for bit in rng.integers(0, 2, 3))
        axes = [axis for axis, turned in ((1, down), (2, across)) if turned]
        both = [crop.flip(axes) for crop in pair.crop(top, left, height, width, self.scale)]
        if over and height == width:  # else it would lie the other way
            both = [crop.transpose(1, 2) for crop in both]
        return both[0].contiguous(), both[1].contiguous()


def load(request: Request) -> Dataset:
    """Small crops and the large ones to make of them. Raises :class:`DataError` naming the file that is wrong."""
    root = request.place("super_resolution", "a folder of PNG files")
    if not root.is_dir():
        raise DataError(root, "not a folder; expected a folder of PNG files", "wrong-file")
    if request.scale not in SCALES:
        what = f"the network makes pictures {request.scale} times as high, expected 2, 3 or 4 times"
        raise DataError(root, what, "wrong-shape", "write scale: 2 in the model section")
    parts = {part: _pairs(files, request) for part, files in _files(root, request).items()}
    centre = request.options.get("evaluate") == "centre"
    splits = {part: _crops(pairs, request, centre and part in HELD) for part, pairs in parts.items()}
    learned, owners = splits["train"]
    augment = Crops(parts["train"], owners, request.scale)
    about = {"scale": request.scale, "values": "pixels / 255"}
    held = splits["validation"][0], splits["test"][0]
    task = SuperResolution(request.scale)
    return Dataset("super_resolution", request.classes, learned, *held, augment, task, about)


def _files(root: Path, request: Request) -> dict[str, list[Path]]:
    """Files of each part: from folders of their names, or a fixed choice."""
    found = {part: pictures.files_of(folder, (".png",)) for part, folder in images.parts_of(root).items()}
    for part, files in found.items():
        if not files:
            raise DataError(root if len(found) == 1 else root / part, "no PNG files in this folder", "missing-file")
    absent = [part for part in HELD if part not in found]
    if absent:
        whole = found["train"]
        shares = [request.options.get(part, 0.1) for part in absent]
        *held, rest = parted(root, len(whole), shares, "data.super_resolution.split")
        chosen = dict(zip([*absent, "train"], [*held, rest], strict=True))
        found |= {part: [whole[row] for row in sorted(rows)] for part, rows in chosen.items()}
    return found


def _pairs(files: Sequence[Path], request: Request) -> list[Pair]:
    made, total = [], 0
    for path in files:
        made.append(_pair(path, request))
        total += made[-1].large.size
        check_size(path.parent, 2, (total,))
    return made


def _pair(path: Path, request: Request) -> Pair:
    (c, h, w), scale = request.shape, request.scale
    picture = pictures.opened(path, path, pictures.channels(path, c))
    width, height = (size // scale * scale for size in picture.size)
    if height < scale * h or width < scale * w:
        what = f"{picture.size[1]}x{picture.size[0]} pixels are fewer than {scale * h}x{scale * w}"
        raise DataError(path, f"{what}, {scale} times the network's input", "wrong-shape", "remove it, or read less")
    large = picture.crop((0, 0, width, height))
    bicubic = pictures.pillow(path).Resampling.BICUBIC
    small = large.resize((width // scale, height // scale), bicubic)
    return Pair(pictures.pixels(small), pictures.pixels(large))


def _crops(pairs: Sequence[Pair], request: Request, centre: bool) -> tuple[Split, NDArray[np.int64]]:
    """As many crops side by side as there is room for, around the middle; and the picture that each is of."""
    (_, h, w), scale = request.shape, request.scale
    made, owners = [], []
    for owner, pair in enumerate(pairs):
        for top in _starts(pair.small.shape[1], h, centre):
            for left in _starts(pair.small.shape[2], w, centre):
                made.append(pair.crop(top, left, h, w, scale))
                owners.append(owner)
    split = Split(torch.stack([small for small, _ in made]), torch.stack([large for _, large in made]))
    return split, np.array(owners, np.int64)


def _starts(size: int, crop: int, centre: bool) -> list[int]:
    count = 1 if centre else size // crop
    first = (size - count * crop) // 2
    return [first + i * crop for i in range(count)]


def _floats(pixels: NDArray[Any]) -> Tensor:
    return torch.from_numpy(pixels.astype(np.float32) / 255)
