"""Small PNG files made by hand, also ones that no encoder would write."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np


def png(pixels: np.ndarray[Any, Any]) -> bytes:
    """A PNG file of pixels (h, w) or (h, w, 3) in bytes."""
    h, w = pixels.shape[:2]
    rows = b"".join(b"\0" + np.ascontiguousarray(row, np.uint8).tobytes() for row in pixels)
    return file_of(w, h, 2 if pixels.ndim == 3 else 0, zlib.compress(rows))


def file_of(width: int, height: int, colour: int, data: bytes, bits: int = 8) -> bytes:
    """A PNG file with this header and compressed data, whether they agree or not."""
    header = struct.pack(">IIBBBBB", width, height, bits, colour, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + _chunk(b"IHDR", header) + _chunk(b"IDAT", data) + _chunk(b"IEND", b"")


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def classes_of(folder: Path, counts: dict[str, int], size: tuple[int, ...] = (8, 8), seed: int = 0) -> Path:
    """A folder with a folder per class, each with so many different pictures (h, w[, 3])."""
    rng = np.random.default_rng(seed)
    for name, count in counts.items():
        (folder / name).mkdir(parents=True)
        for number in range(count):
            (folder / name / f"{number}.png").write_bytes(png(rng.integers(0, 256, size, dtype=np.uint8)))
    return folder
