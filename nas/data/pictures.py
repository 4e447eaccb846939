"""Pictures from PNG and JPEG files, through Pillow: sizes are checked before anything is decoded."""

from __future__ import annotations

import warnings
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nas.data.errors import DataError

SUFFIXES = (".jpeg", ".jpg", ".png")
MOST_PIXELS = 50_000_000
_MODES = {1: "L", 3: "RGB"}
_BITS8 = ("1", "L", "LA", "P", "PA", "RGB", "RGBA", "RGBX", "CMYK", "YCbCr")
_OTHERS = (".avif", ".bmp", ".gif", ".heic", ".jp2", ".jxl", ".npy", ".ppm", ".tif", ".tiff", ".webp")

Picture = Any  # PIL.Image.Image: Pillow is an extra


def pillow(place: object) -> Any:
    """The module ``PIL.Image``. Raises :class:`DataError` if Pillow is not installed."""
    try:
        from PIL import Image
    except ImportError as error:
        what = "to read pictures the package pillow is needed, which is not installed"
        raise DataError(place, what, "missing-extra", "pip install 'nas[images]'") from error
    return Image


def channels(place: object, count: int) -> str:
    """Pillow's mode of pictures with so many channels. Raises :class:`DataError` if there is none."""
    if count not in _MODES:
        raise DataError(place, f"pictures are read with 1 or 3 channels, the network reads {count}", "wrong-shape")
    return _MODES[count]


def opened(source: Path | bytes, place: object, mode: str) -> Picture:
    """A picture, upright, in Pillow's ``mode`` ``L`` or ``RGB``; transparency is left out.

    Raises:
        DataError: not a PNG or JPEG file, damaged, more than 50 million pixels, or more than 8 bits per channel.
    """
    image = pillow(place)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # odd metadata is no fault of the picture
            warnings.simplefilter("error", image.DecompressionBombWarning)
            stream = BytesIO(source) if isinstance(source, bytes) else source
            with image.open(stream, formats=("PNG", "JPEG")) as picture:  # reads the header only
                _check(picture, place)
                return _upright(picture).convert(mode)
    except DataError:
        raise
    except (image.DecompressionBombWarning, image.DecompressionBombError) as error:
        raise DataError(place, f"it has more than {MOST_PIXELS} pixels", "too-large") from error
    except Exception as error:  # decoders of damaged files raise errors of many types
        what = f"cannot be read as a PNG or JPEG picture: {type(error).__name__}"
        raise DataError(place, what, "damaged-file", "replace or remove the file") from error


def _check(picture: Picture, place: object) -> None:
    width, height = picture.size
    if width * height > MOST_PIXELS:
        what = f"its header says {width}x{height} pixels, at most {MOST_PIXELS} are read"
        raise DataError(place, what, "too-large")
    if picture.mode not in _BITS8:
        what = f"it has the pixel format {picture.mode}, expected 8 bits per channel"
        raise DataError(place, what, "wrong-type", "convert it")


def _upright(picture: Picture) -> Picture:
    from PIL import ImageOps

    return ImageOps.exif_transpose(picture)


def fitted(picture: Picture, height: int, width: int) -> NDArray[np.uint8]:
    """Pixels (c, h, w): the largest middle part of the right proportions, resized by antialiased bicubic."""
    from PIL import Image, ImageOps

    return pixels(ImageOps.fit(picture, (width, height), Image.Resampling.BICUBIC))


def pixels(picture: Picture) -> NDArray[np.uint8]:
    """Pixels (c, h, w)."""
    array = np.asarray(picture, np.uint8)
    return array[None] if array.ndim == 2 else array.transpose(2, 0, 1)


def files_of(folder: Path, suffixes: tuple[str, ...] = SUFFIXES) -> list[Path]:
    """The picture files of a folder by name; a README and the like are passed over.

    Raises :class:`DataError` for pictures of other formats and for folders: rather that than to leave examples out
    unnoticed.
    """
    found = []
    for path in sorted(path for path in folder.iterdir() if not path.name.startswith(".")):
        suffix = path.suffix.lower()
        if path.is_dir() or (suffix in (*_OTHERS, *SUFFIXES) and suffix not in suffixes):
            what = f"expected {' or '.join(suffixes)} files in this folder"
            raise DataError(path, what, "wrong-file", "convert or remove it")
        if suffix in suffixes and path.is_file():  # opening a pipe would wait for ever
            found.append(path)
    return found
