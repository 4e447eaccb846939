"""``dataset: cifar10``: the binary files to the byte, NPZ files, and no pickles."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from nas.data import cifar10 as module
from nas.data.augment import Shift
from spaces.datasets import SHAPES
from tests.benchmarks.cifar10_npz import unfiltered
from tests.nas.data.shared import SHARED, check_dataset, check_disjoint, made, noise, options, real, refused

SHAPE = {"shape": (3, 32, 32), "classes": 10}
ROW = 3073
HINT = "take the binary version of https://www.cs.toronto.edu/~kriz/cifar.html, cifar-10-binary.tar.gz, unpacked"


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Files of ten images."""
    monkeypatch.setattr(module, "ROWS", 10)


def folder_of(folder: Path, rows: int = 10) -> Path:
    """The six files; the class of image i is i % 10."""
    folder.mkdir()
    for number, name in enumerate((*module.TRAIN, module.TEST)):
        data = noise(rows, ROW, seed=number)
        data[:, 0] = np.arange(rows) % 10
        (folder / name).write_bytes(data.tobytes())
    return folder


@pytest.mark.usefixtures("small")
def test_the_binary_files_are_read(tmp_path: Path) -> None:
    """A tenth of the training images validates; pixels and classes are those of the files."""
    root = folder_of(tmp_path / "cifar")
    dataset = check_dataset(lambda: made("cifar10", root, **SHAPE))
    check_disjoint(dataset)
    assert [len(p) for p in (dataset.train, dataset.validation, dataset.test)] == [45, 5, 10]
    assert (dataset.shape, dataset.classes) == SHAPES["cifar10"]
    assert dataset.about["classes"][3] == "cat"
    pixels = (dataset.test.images * dataset.about["deviation"] + dataset.about["mean"]).round().numpy()
    stored = np.frombuffer((root / module.TEST).read_bytes(), np.uint8).reshape(10, ROW)
    assert pixels.astype(np.uint8).reshape(10, -1).tolist() == stored[:, 1:].tolist()
    assert dataset.test.labels.tolist() == stored[:, 0].tolist()
    assert options("cifar10") == {"shift": 4, "flip": True, "limit": None}
    assert isinstance(dataset.augment, Shift)
    assert (dataset.augment.pixels, dataset.augment.flip) == (4, True)


def test_an_npz_file_is_read(tmp_path: Path) -> None:
    """With a test part of its own."""
    x, y = noise(30, 32, 32, 3), np.arange(30) % 10
    np.savez(tmp_path / "c.npz", x_train=x[:20], y_train=y[:20], x_test=x[20:], y_test=y[20:])
    dataset = check_dataset(lambda: made("cifar10", tmp_path / "c.npz", "{limit: 4, flip: false}", **SHAPE))
    assert [len(p) for p in (dataset.train, dataset.validation, dataset.test)] == [4, 2, 10]


@pytest.mark.usefixtures("small")
@pytest.mark.parametrize(
    ("name", "data", "what"),
    [
        ("data_batch_3.bin", None, f"no such file; expected 10 images in 30730 bytes [missing-file]\n  hint: {HINT}"),
        ("test_batch.bin", None, f"no such file; expected 10 images in 30730 bytes [missing-file]\n  hint: {HINT}"),
        ("data_batch_2.bin", bytes(30729), "expected 10 images in 30730 bytes, found 30729 [damaged-file]"),
        ("data_batch_2.bin", bytes(99999), "expected 10 images in 30730 bytes, found more [damaged-file]"),
        ("data_batch_5.bin", b"\x0a" * 30730, "a class is 10, expected 0 to 9 [damaged-file]"),
    ],
)
def test_a_missing_or_damaged_file_is_named(tmp_path: Path, name: str, data: bytes | None, what: str) -> None:
    """And what was expected of it."""
    root = folder_of(tmp_path / "cifar")
    (root / name).unlink() if data is None else (root / name).write_bytes(data)
    with refused(f"{root / name}: {what}"):
        made("cifar10", root, **SHAPE)


def test_pickles_are_refused_by_name(tmp_path: Path) -> None:
    """The folder of the Python version, and a file of it."""
    for name in ("batches.meta", "data_batch_1", "test_batch"):
        (tmp_path / name).write_bytes(b"\x80\x02.")
    said = "is of the Python version, made of pickles, which can run code and are not read [pickle]"
    with refused(f"{tmp_path}: 'batches.meta' {said}\n  hint: {HINT}"):
        made("cifar10", tmp_path, **SHAPE)
    with refused(f"{tmp_path}/data_batch_1: 'data_batch_1' {said}\n  hint: {HINT}"):
        made("cifar10", tmp_path / "data_batch_1", **SHAPE)


def test_an_archive_is_refused(tmp_path: Path) -> None:
    """It is to be unpacked."""
    (tmp_path / "cifar-10-binary.tar.gz").write_bytes(b"\x1f\x8b")
    what = "expected the folder of the binary version, or an NPZ file [wrong-file]"
    with refused(f"{tmp_path}/cifar-10-binary.tar.gz: {what}\n  hint: {HINT}"):
        made("cifar10", tmp_path / "cifar-10-binary.tar.gz", **SHAPE)


@real("cifar10")
def test_the_real_test_images_are_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The 10,000 test images in the place of all files, 2,000 each: as many of every class as there should be."""
    x, y = unfiltered(SHARED / "cifar10" / "cifar10_test.npz")
    rows = np.concatenate([y[:, None], x.reshape(len(x), -1)], axis=1)
    for name, part in zip(module.TRAIN, np.split(rows, 5), strict=True):
        (tmp_path / name).write_bytes(part.tobytes())
    (tmp_path / module.TEST).write_bytes(rows[:2000].tobytes())
    monkeypatch.setattr(module, "ROWS", 2000)
    dataset = made("cifar10", tmp_path, **SHAPE)
    counts = np.bincount(np.concatenate([dataset.train.labels, dataset.validation.labels]))
    assert counts.tolist() == [1000] * 10
    assert dataset.about["mean"] / 255 == pytest.approx(0.473, abs=0.01)
