"""From CIFAR-10 as it lies in ``shared/data`` (losslessly filtered) to an NPZ file for ``dataset: cifar10``.

    python tests/benchmarks/cifar10_npz.py --data FOLDER --out cifar10.npz [--limit 10000]

FOLDER holds ``cifar10_train.npz`` and ``cifar10_test.npz`` with the arrays ``delta`` and ``labels`` of its README.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import numpy as np

TRAIN, TEST = "cifar10_train.npz", "cifar10_test.npz"
ROOT = Path(__file__).parents[3] / "shared" / "data" / "cifar10"


def require(parser: argparse.ArgumentParser, root: Path) -> None:
    """End with the parser's message if the training images are not in this folder."""
    if not (root / TRAIN).is_file():
        parser.error(f"{root / TRAIN}: no such file; --root names the folder of cifar10")


def unfiltered(path: Path) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """Images (n, 3, 32, 32) in bytes and classes (n,): red and blue were stored less green, rows as differences."""
    with np.load(path) as stored:
        x = np.cumsum(stored["delta"], axis=-1, dtype=np.uint8).transpose(1, 0, 2, 3).copy()
        x[:, 0] += x[:, 1]
        x[:, 2] += x[:, 1]
        return x, stored["labels"]


def main() -> None:
    """Write the file."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--limit", type=int, default=None, help="training images; default: all")
    asked = parser.parse_args()
    arrays = {}
    for part, file, count in (("train", TRAIN, asked.limit), ("test", TEST, None)):
        x, y = unfiltered(asked.data / file)
        arrays |= {f"x_{part}": x[:count].transpose(0, 2, 3, 1), f"y_{part}": y[:count]}
    np.savez(asked.out, **arrays)


if __name__ == "__main__":
    main()
