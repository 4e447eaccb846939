"""``dataset: huggingface``: with a stand-in for the package, which is large; only what is used of it is imitated."""

from __future__ import annotations

import sys
from importlib.util import find_spec
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from nas.data.tasks import NextToken
from tests.nas.data.pngs import png
from tests.nas.data.shared import check_dataset, check_disjoint, made, noise, refused

needs_pillow = pytest.mark.skipif(not find_spec("PIL"), reason="the extra images (pillow) is not installed")
TWO = {"shape": (1, 8, 8), "classes": 2}


class Image:
    """A column of images; decoded ones are never asked for."""

    def __init__(self, decode: bool = True) -> None:
        self.decode = decode


class Value:
    """A column of plain values."""


class ClassLabel:
    """A column of classes with names."""

    def __init__(self, names: list[str]) -> None:
        self.names = names


class Table:
    """What is used of ``datasets.Dataset``."""

    def __init__(self, columns: dict[str, list[Any]], features: dict[str, Any]) -> None:
        self.columns, self.features, self.column_names = columns, features, list(columns)

    def __len__(self) -> int:
        return len(next(iter(self.columns.values())))

    def __getitem__(self, column: str) -> list[Any]:
        feature = self.features[column]
        assert not (isinstance(feature, Image) and feature.decode), "decoding is ours, after the size was checked"
        return self.columns[column]

    def cast_column(self, column: str, feature: Any) -> Table:
        """Another table, as it is in the package."""
        return Table(self.columns, {**self.features, column: feature})


def pets(count: int, seed: int = 0, label: Any = None) -> Table:
    """Images of two classes."""
    cells = [{"bytes": png(picture), "path": None} for picture in noise(count, 9, 12, seed=seed)]
    columns = {"image": cells, "label": [i % 2 for i in range(count)]}
    return Table(columns, {"image": Image(), "label": label or ClassLabel(["cat", "dog"])})


def lines(*texts: Any) -> Table:
    """Texts."""
    return Table({"text": list(texts)}, {"text": Value()})


@pytest.fixture
def saved(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Say what ``load_from_disk`` gives, and get its folder."""

    def saved(found: Any) -> Path:
        def load_from_disk(path: str) -> Any:
            assert path == str(tmp_path)
            if isinstance(found, Exception):
                raise found
            return found

        monkeypatch.setitem(sys.modules, "datasets", SimpleNamespace(load_from_disk=load_from_disk, Image=Image))
        return tmp_path

    return saved


@needs_pillow
def test_images_with_splits_of_their_own(saved: Any) -> None:
    """The absent validation part is taken from the training part; classes have their names."""
    root = saved({"train": pets(20), "test": pets(6, seed=1)})
    dataset = check_dataset(lambda: made("huggingface", root, **TWO))
    check_disjoint(dataset)
    assert [len(p) for p in (dataset.train, dataset.validation, dataset.test)] == [18, 2, 6]
    assert dataset.about["classes"] == ["cat", "dog"]
    assert dataset.test.labels.tolist() == [0, 1] * 3


@needs_pillow
def test_images_in_one_table(saved: Any) -> None:
    """Split as a folder is; classes without names."""
    root = saved(pets(20, label=Value()))
    dataset = check_dataset(lambda: made("huggingface", root, "{validation: 0.2, test: 0.25}", **TWO))
    assert [len(p) for p in (dataset.train, dataset.validation, dataset.test)] == [11, 4, 5]
    assert "classes" not in dataset.about


def test_texts(saved: Any) -> None:
    """One vocabulary for all parts, a line for each text."""
    root = saved({"train": lines("to be", "or not"), "validation": lines("to bee"), "test": lines("be or")})
    asked = {"shape": (1, 4, 1), "classes": 20, "reads": "tokens"}
    dataset = check_dataset(lambda: made("huggingface", root, **asked))
    assert isinstance(dataset.task, NextToken)
    assert "".join(dataset.about["vocabulary"]) == "\n benort"
    read = [
        "".join(dataset.about["vocabulary"][i] for i in part.images.flatten()) for part in (dataset.train, dataset.test)
    ]
    assert read == ["to be\nor", "be o"]


def test_without_the_package_the_extra_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """And how to get it."""
    monkeypatch.setitem(sys.modules, "datasets", None)
    what = "the package datasets is needed, which is not installed [missing-extra]"
    with refused(f"dataset huggingface: {what}\n  hint: pip install 'nas[datasets]'"):
        made("huggingface", tmp_path, **TWO)


def test_what_does_not_do_is_named(saved: Any) -> None:
    """Folder, split, column, row."""
    root = saved(FileNotFoundError("Directory is neither a Dataset nor a DatasetDict"))
    what = "cannot be read as a folder that save_to_disk wrote: Directory is neither a Dataset nor a DatasetDict"
    with refused(f"{root}: {what} [damaged-file]"):
        made("huggingface", root, **TWO)
    saved({"train": pets(4), "dev": pets(4)})
    with refused(f"{root}: its splits are train, dev; expected train, validation, test [wrong-split]"):
        made("huggingface", root, **TWO)
    saved(pets(4))
    with refused(f"{root}: train: no column 'pixels' [missing-column]\n  hint: columns: image, label"):
        made("huggingface", root, "{column: pixels}", **TWO)
    with refused(f"{root}: train: no column 'labels' [missing-column]\n  hint: did you mean 'label'?"):
        made("huggingface", root, "{label: labels}", **TWO)
    with refused(f"{root}: train: column 'label' holds ClassLabel, not images [wrong-type]"):
        made("huggingface", root, "{column: label}", **TWO)
    with refused(f"{root}: pictures to enlarge are not read from it [wrong-dataset]\n  hint: use super_resolution"):
        made("huggingface", root, reads="pictures")
    saved(lines("to be", None))
    with refused(f"{root}: train: column 'text' holds something else than text [wrong-type]"):
        made("huggingface", root, reads="tokens", shape=(1, 4, 1))


@needs_pillow
def test_images_that_do_not_do_are_named_by_row(saved: Any) -> None:
    """A reference to a file elsewhere is not followed."""
    table = pets(8)
    table.columns["image"][3] = {"bytes": None, "path": "/etc/passwd"}
    root = saved(table)
    with refused(f"{root}: train, row 3: the image is not in the file itself [missing-file]"):
        made("huggingface", root, **TWO)
    table.columns["image"][3] = {"bytes": b"no picture", "path": None}
    what = "cannot be read as a PNG or JPEG picture: UnidentifiedImageError [damaged-file]"
    with refused(f"{root}: train, row 3: {what}\n  hint: replace or remove the file"):
        made("huggingface", root, **TWO)
    saved(pets(8, label=ClassLabel(["cat", "dog", "bird"])))
    what = "3 classes (cat, dog, bird), but the network gives 2 [wrong-classes]"
    with refused(f"{root}: {what}\n  hint: write classes: 3 in the model section"):
        made("huggingface", root, **TWO)
