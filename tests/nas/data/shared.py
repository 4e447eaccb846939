"""What the tests of the loaders share: where real data lie, how a refusal is checked, and what every dataset keeps."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from nas.data import DATASETS, DataError, Dataset, Request, Shuffled
from nas.datasets import KINDS
from spaces.yaml import Problems, Section, read_text

SHARED = Path(__file__).parents[4] / "shared" / "data"


def real(folder: str) -> Any:
    """A mark for tests of real data."""
    return pytest.mark.skipif(not (SHARED / folder).is_dir(), reason=f"no shared/data/{folder} beside this checkout")


def options(name: str, written: str = "{}") -> dict[str, Any]:
    """The options of a dataset as a file would have them, defaults included."""
    problems = Problems("space.yaml")
    made = KINDS[name].options(Section(read_text(written, "space.yaml", problems), "space.data", problems))
    problems.raise_if_any()
    return made


def made(name: str, root: Path | None, written: str = "{}", **asked: Any) -> Dataset:
    """A dataset from a folder or file with these options."""
    return DATASETS[name](Request(root=root, options=options(name, written), **asked))


@contextmanager
def refused(message: str) -> Iterator[None]:
    """The whole message of a :class:`DataError`, to the letter."""
    with pytest.raises(DataError, match=rf"\A{re.escape(message)}\Z"):
        yield


def texts(split: Any) -> list[bytes]:
    """Every example as bytes."""
    return [image.numpy().tobytes() for image in split.images]


def check_dataset(load: Callable[[], Dataset]) -> Dataset:
    """What every dataset keeps: shapes, types, disjoint parts that are the same again, epochs that repeat."""
    dataset, again = load(), load()
    parts = (dataset.train, dataset.validation, dataset.test)
    for mine, other in zip(parts, (again.train, again.validation, again.test), strict=True):
        assert len(mine) == len(mine.images) >= 1
        assert mine.images.shape[1:] == dataset.train.images.shape[1:]
        assert torch.equal(mine.images, other.images)
        assert torch.equal(mine.labels, other.labels)
        assert bool(torch.isfinite(mine.images.float()).all())
    first, second = Shuffled(dataset, 2, seed=1), Shuffled(again, 2, seed=1)
    for (x, y), (u, v) in zip(first.epoch(3), second.epoch(3), strict=True):
        assert torch.equal(x, u)
        assert torch.equal(y, v)
        assert (x.shape[1:], x.dtype) == (dataset.train.images.shape[1:], dataset.train.images.dtype)
        assert (y.shape[1:], y.dtype) == (dataset.train.labels.shape[1:], dataset.train.labels.dtype)
    assert dataset.about == again.about
    return dataset


def check_disjoint(dataset: Dataset) -> None:
    """No example of one part is in another; only for examples that all differ."""
    parts = [texts(part) for part in (dataset.train, dataset.validation, dataset.test)]
    together = [text for part in parts for text in part]
    assert len(together) == len(set(together))


def noise(*shape: int, seed: int = 0) -> np.ndarray[Any, np.dtype[np.uint8]]:
    """Bytes that all differ from one example to the next."""
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)
