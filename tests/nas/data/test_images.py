"""``dataset: images``: folders of pictures and NPZ files, sizes checked before anything is decoded."""

from __future__ import annotations

import struct
import sys
import zipfile
import zlib
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from nas.data import DATASETS, DataError, Request, npz, parts, pictures
from nas.data.parts import parted
from tests.nas.data.pngs import classes_of, file_of, png
from tests.nas.data.shared import check_dataset, check_disjoint, made, noise, options, refused

needs_pillow = pytest.mark.skipif(not find_spec("PIL"), reason="the extra images (pillow) is not installed")
TWO = {"shape": (1, 8, 8), "classes": 2}


# --- Parts ------------------------------------------------------------------------------------------------------------


@settings(deadline=None)
@given(count=st.integers(20, 500), first=st.floats(0.001, 0.45), second=st.floats(0.001, 0.45))
def test_parts_are_disjoint_fixed_and_all(count: int, first: float, second: float) -> None:
    """Every row in one part; each part has one at least, and its share up to rounding."""
    made = parted("here", count, [first, second], "test")
    assert sorted(np.concatenate(made).tolist()) == list(range(count))
    assert [len(rows) for rows in made[:2]] == [max(1, round(share * count)) for share in (first, second)]
    for mine, other in zip(made, parted("here", count, [first, second], "test"), strict=True):
        assert mine.tolist() == other.tolist()


def test_too_few_examples_are_refused() -> None:
    """At least two to learn from."""
    with refused("here: 3 examples are too few to be split into three parts [too-few]"):
        parted("here", 3, [0.1, 0.1], "test")


# --- Folders ----------------------------------------------------------------------------------------------------------


@needs_pillow
def test_a_folder_per_class_is_split_and_standardised_by_the_training_part(tmp_path: Path) -> None:
    """Classes are numbered by name; a tenth each for validation and test."""
    root = classes_of(tmp_path / "pets", {"dog": 10, "cat": 10})
    (root / "cat" / ".DS_Store").write_bytes(b"what file managers leave")
    (root / "cat" / "README.md").write_bytes(b"cats")
    dataset = check_dataset(lambda: made("images", root, **TWO))
    check_disjoint(dataset)
    assert [len(p) for p in (dataset.train, dataset.validation, dataset.test)] == [16, 2, 2]
    assert (dataset.shape, dataset.classes, dataset.about["classes"]) == ((1, 8, 8), 2, ["cat", "dog"])
    assert float(dataset.train.images.mean()) == pytest.approx(0, abs=1e-5)
    assert float(dataset.train.images.std(unbiased=False)) == pytest.approx(1, abs=1e-5)
    raw = {(root / "cat" / f"{i}.png").read_bytes() for i in range(10)}
    pixels = dataset.train.images * dataset.about["deviation"] + dataset.about["mean"]
    for image, label in zip(pixels.round().to(torch.uint8), dataset.train.labels, strict=True):
        assert (png(image[0].numpy()) in raw) == (label == 0)


@needs_pillow
def test_folders_of_parts_are_taken_as_the_split(tmp_path: Path) -> None:
    """``train`` and ``test``; an absent ``validation`` is drawn from ``train``."""
    for part, count in (("train", 10), ("test", 3)):
        classes_of(tmp_path / "pets" / part, {"cat": count, "dog": count}, seed=count)
    dataset = check_dataset(lambda: made("images", tmp_path / "pets", **TWO))
    check_disjoint(dataset)
    assert [len(p) for p in (dataset.train, dataset.validation, dataset.test)] == [18, 2, 6]
    classes_of(tmp_path / "pets" / "validation", {"dog": 4}, seed=7)
    dataset = made("images", tmp_path / "pets", "{limit: 5}", **TWO)
    assert [len(p) for p in (dataset.train, dataset.validation, dataset.test)] == [5, 4, 6]
    assert dataset.validation.labels.tolist() == [1] * 4


@needs_pillow
@pytest.mark.parametrize("size", [(8, 8), (20, 30), (31, 9), (5, 3)])
def test_pictures_are_cropped_in_the_middle_and_resized(tmp_path: Path, size: tuple[int, int]) -> None:
    """A picture with a bright middle column keeps it in the middle; colour is read as asked for."""
    picture = np.zeros((*size, 3), np.uint8)
    picture[:, size[1] // 2] = (255, 0, 0)
    (tmp_path / "a.png").write_bytes(png(picture))
    seen = pictures.fitted(pictures.opened(tmp_path / "a.png", "a.png", "RGB"), 8, 6)
    assert (seen.shape, seen.dtype) == ((3, 8, 6), np.uint8)
    assert seen[0].sum(axis=0).argmax() in (2, 3)
    assert seen[1:].max() == 0
    grey = pictures.fitted(pictures.opened(tmp_path / "a.png", "a.png", "L"), 8, 6)
    assert grey.shape == (1, 8, 6)


@needs_pillow
def test_transparent_palette_and_turned_pictures_are_read(tmp_path: Path) -> None:
    """As a viewer shows them, without transparency."""
    from PIL import Image

    pixels = noise(4, 6, 3)
    plain = Image.fromarray(pixels)
    plain.convert("RGBA").save(tmp_path / "a.png")
    plain.quantize(8).save(tmp_path / "p.png", transparency=b"\x00\x80")
    turned = Image.Exif()
    turned[0x0112] = 6  # to be turned by 90 degrees
    plain.save(tmp_path / "t.jpg", exif=turned)
    plain.convert("CMYK").save(tmp_path / "c.jpg")
    read = {
        name: pictures.pixels(pictures.opened(tmp_path / name, name, "RGB")) for name in ("a.png", "p.png", "c.jpg")
    }
    assert read["a.png"].tolist() == pixels.transpose(2, 0, 1).tolist()
    assert {array.shape for array in read.values()} == {(3, 4, 6)}
    assert pictures.pixels(pictures.opened(tmp_path / "t.jpg", "t.jpg", "RGB")).shape == (3, 6, 4)


GOOD = png(noise(8, 8))
DAMAGED = "cannot be read as a PNG or JPEG picture: {} [damaged-file]\n  hint: replace or remove the file"


@needs_pillow
@pytest.mark.parametrize(
    ("data", "what"),
    [
        (b"", DAMAGED.format("UnidentifiedImageError")),
        (b"GIF89a" + b"\0" * 50, DAMAGED.format("UnidentifiedImageError")),
        (GOOD[: len(GOOD) // 2], DAMAGED.format("OSError")),
        (
            file_of(32_000, 32_000, 2, zlib.compress(b"\0" * 1000)),
            "it has more than 50000000 pixels [too-large]",
        ),
        (
            file_of(8_000, 8_000, 0, zlib.compress(b"\0" * 1000)),
            "its header says 8000x8000 pixels, at most 50000000 are read [too-large]",
        ),
        (
            file_of(2, 2, 0, zlib.compress(bytes(10)), bits=16),
            "it has the pixel format I;16, expected 8 bits per channel [wrong-type]\n  hint: convert it",
        ),
    ],
    ids=["empty", "gif", "truncated", "bomb", "large", "16 bits"],
)
def test_a_damaged_or_monstrous_picture_is_named(tmp_path: Path, data: bytes, what: str) -> None:
    """In a dataset, by the file; a header of 10^9 pixels is refused before any of them is decoded."""
    root = classes_of(tmp_path / "pets", {"cat": 3, "dog": 3})
    wrong = root / "dog" / "1.png"
    wrong.write_bytes(data)
    with refused(f"{wrong}: {what}"):
        made("images", root, **TWO)


@needs_pillow
@settings(deadline=None, max_examples=150)
@given(place=st.integers(0, len(GOOD) - 1), data=st.binary(max_size=12), cut=st.booleans())
def test_any_damage_is_a_data_error_or_does_not_matter(place: int, data: bytes, cut: bool) -> None:
    """No other error than ours, wherever bytes were overwritten or the file was cut."""
    damaged = GOOD[:place] if cut else GOOD[:place] + data + GOOD[place + len(data) :]
    with suppress(DataError):
        assert pictures.pixels(pictures.opened(damaged, "it", "L")).shape[0] == 1


@needs_pillow
@pytest.mark.parametrize(
    ("change", "what"),
    [
        (
            {"cat/a.gif": b"GIF"},
            "/cat/a.gif: expected .jpeg or .jpg or .png files in this folder [wrong-file]\n"
            "  hint: convert or remove it",
        ),
        (
            {"dog/more/a.png": GOOD},
            "/dog/more: expected .jpeg or .jpg or .png files in this folder [wrong-file]\n"
            "  hint: convert or remove it",
        ),
        (
            {"bird/a.png": GOOD},
            ": 3 classes (bird, cat, dog), but the network gives 2 [wrong-classes]\n"
            "  hint: write classes: 3 in the model section",
        ),
    ],
    ids=["gif", "folder", "class"],
)  # fmt: skip
def test_what_does_not_belong_into_the_folder_is_named(tmp_path: Path, change: dict[str, bytes], what: str) -> None:
    """Rather than to leave examples out unnoticed."""
    root = classes_of(tmp_path / "pets", {"cat": 3, "dog": 3})
    for name, data in change.items():
        (root / name).parent.mkdir(exist_ok=True, parents=True)
        (root / name).write_bytes(data)
    with refused(f"{root}{what}"):
        made("images", root, **TWO)


def test_folders_that_are_not_there_are_named_with_the_nearest(tmp_path: Path) -> None:
    """No root, no classes, a mistyped part, a mistyped class, a class without pictures."""
    root = tmp_path / "pets"
    expected = "a folder with a folder of PNG or JPEG files per class, or an NPZ file"
    with refused(f"dataset images: it needs data.root: {expected} [missing-key]"):
        made("images", None)
    with refused(f"{root}: no such file or folder; expected {expected} [missing-file]"):
        made("images", root)
    root.mkdir()
    with refused(f"{root}: no folders in it; expected a folder of PNG or JPEG files per class [missing-file]"):
        made("images", root)
    for part in ("train", "test", "validaton"):
        (root / part / "cat").mkdir(parents=True)
    beside = f"{root}/validaton: a folder beside train and test that is neither [wrong-file]"
    with refused(f"{beside}\n  hint: did you mean 'validation'?"):
        made("images", root, classes=2)
    (root / "validaton").rename(root / "validation")
    (root / "train" / "dog").mkdir()
    (root / "test" / "dogs").mkdir()
    missing = "no PNG or JPEG files in the folders of its classes [missing-file]"
    with refused(
        f"{root}/test/dogs: a class that the training images have not [wrong-label]\n  hint: did you mean 'dog'?"
    ):
        made("images", root, classes=2)
    (root / "test" / "dogs").rmdir()
    with refused(f"{root}/test: {missing}"):
        made("images", root, classes=2)


def test_more_than_fits_into_memory_is_refused_before_it_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As floats."""
    root = classes_of(tmp_path / "pets", {"cat": 3, "dog": 3})
    monkeypatch.setattr(parts, "MOST_BYTES", 1000)
    what = "6 examples of shape [1, 8, 8] take 0.0 GB of memory, at most 0.0 GB are read [too-large]"
    with refused(f"{root}: {what}\n  hint: use a part of them"):
        made("images", root, **TWO)


def test_without_pillow_the_extra_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """And how to get it."""
    root = classes_of(tmp_path / "pets", {"cat": 3, "dog": 3})
    monkeypatch.setitem(sys.modules, "PIL", None)
    what = "to read pictures the package pillow is needed, which is not installed [missing-extra]"
    with refused(f"{root}/cat/0.png: {what}\n  hint: pip install 'nas[images]'"):
        made("images", root, **TWO)


# --- NPZ --------------------------------------------------------------------------------------------------------------

X, Y = noise(20, 8, 8), np.arange(20) % 2


def saved(path: Path, packed: bool = False, **arrays: Any) -> Path:
    """An NPZ file."""
    (np.savez_compressed if packed else np.savez)(path, **arrays)
    return path


@pytest.mark.parametrize("packed", [False, True], ids=["plain", "packed"])
@pytest.mark.parametrize("kind", [np.uint8, np.float64, np.dtype(">f4")], ids=str)
def test_an_npz_file_of_images_and_classes(tmp_path: Path, packed: bool, kind: Any) -> None:
    """Bytes or floats of any order; split as a folder is."""
    path = saved(tmp_path / "a.npz", packed, x=X.astype(kind), y=Y.astype(np.uint8))
    dataset = check_dataset(lambda: made("images", path, **TWO))
    check_disjoint(dataset)
    assert [len(p) for p in (dataset.train, dataset.validation, dataset.test)] == [16, 2, 2]
    pixels = dataset.train.images[:, 0] * dataset.about["deviation"] + dataset.about["mean"]
    known = {image.tobytes(): label for image, label in zip(X, Y, strict=True)}
    for image, label in zip(pixels.round().to(torch.uint8), dataset.train.labels, strict=True):
        assert known[image.numpy().tobytes()] == label


def test_an_npz_file_with_a_test_part(tmp_path: Path) -> None:
    """In colour, arrays stored by column, other arrays passed over."""
    x = np.asfortranarray(noise(20, 8, 8, 3))
    path = saved(tmp_path / "a.npz", x_train=x, y_train=Y, x_test=x[:5] ^ 1, y_test=Y[:5], names=np.array(["a", "b"]))
    dataset = check_dataset(lambda: made("images", path, shape=(3, 8, 8), classes=2))
    assert [len(p) for p in (dataset.train, dataset.validation, dataset.test)] == [18, 2, 5]
    pixels = dataset.test.images * dataset.about["deviation"] + dataset.about["mean"]
    assert pixels.round().to(torch.uint8).permute(0, 2, 3, 1).numpy().tolist() == (x[:5] ^ 1).tolist()


SIZE = (
    "x has shape {}, expected (n, 8, 8) as the network reads [wrong-shape]\n"
    "  hint: write the shape of an image as input in the model section"
)
LABEL = (
    "y has classes from {} to {}, expected 0 to 1 [wrong-label]\n"
    "  hint: write their number as classes in the model section"
)


@pytest.mark.parametrize(
    ("arrays", "what"),
    [
        ({"x": X}, "it has the arrays x; expected x_train, y_train, x_test, y_test, or x, y [wrong-arrays]"),
        ({"x": X[:, :7], "y": Y}, SIZE.format("(20, 7, 8)")),
        ({"x": X[:0], "y": Y[:0]}, SIZE.format("(0, 8, 8)")),
        ({"x": np.float32(1), "y": Y}, SIZE.format("()")),
        ({"x": X.astype(np.int32), "y": Y}, "x holds int32, expected uint8 or floats [wrong-type]"),
        ({"x": X / np.float32(0.5) + np.float32("nan"), "y": Y}, "x has values that are not finite [wrong-value]"),
        ({"x": np.array([["a"]]), "y": Y}, "x holds <U1, expected whole numbers or floats [wrong-type]"),
        ({"x": X, "y": Y[:19]}, "y has shape (19,), expected (20,): one class per image [wrong-shape]"),
        ({"x": X, "y": Y / 2}, "y holds float64, expected whole numbers [wrong-type]"),
        ({"x": X, "y": Y - 1}, LABEL.format(-1, 0)),
        ({"x": X, "y": Y + 1}, LABEL.format(1, 2)),
    ],
    ids=["arrays", "size", "none", "scalar", "integers", "nan", "text", "fewer", "halves", "negative", "class"],
)  # fmt: skip
@pytest.mark.filterwarnings("ignore:invalid value")
def test_arrays_that_are_not_images_and_classes_are_named(tmp_path: Path, arrays: dict[str, Any], what: str) -> None:
    """What was found and what was expected."""
    path = saved(tmp_path / "a.npz", **arrays)
    with refused(f"{path}: {what}"):
        made("images", path, **TWO)


def test_an_array_of_objects_is_never_unpickled(tmp_path: Path) -> None:
    """Its type is looked at before its bytes."""
    path = tmp_path / "a.npz"
    np.savez(path, x=np.array([print], dtype=object), y=Y)
    with refused(f"{path}: x holds object, expected whole numbers or floats [wrong-type]"):
        made("images", path, **TWO)


def member(path: Path, header: str, data: bytes = b"", version: bytes = b"\x01\x00") -> Path:
    """An NPZ file whose ``x`` has this header."""
    text = header.encode()
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("x.npy", b"\x93NUMPY" + version + struct.pack("<H", len(text)) + text + data)
        archive.writestr("y.npy", b"")
    return path


MOST = "bytes, at most 17179869184 are read [too-large]"
FEW = "x has shape (2, 8, 8), which is 128 bytes; found"
KEYS = "cannot be read as NPZ: Header does not contain the correct keys"
SHAPE = "{{'descr': '|u1', 'fortran_order': False, 'shape': {}}}\n"


@pytest.mark.parametrize(
    ("header", "data", "what"),
    [
        (SHAPE.format("(99999, 1000, 1000)"), b"", f"x has shape (99999, 1000, 1000) and 99999000000 {MOST}"),
        (SHAPE.format("(-1, 8, 8)"), b"", f"x has shape (-1, 8, 8) and -64 {MOST}"),
        (SHAPE.format("(2, 8, 8)"), bytes(127), f"{FEW} 127 [damaged-file]"),
        (SHAPE.format("(2, 8, 8)"), bytes(10**7), f"{FEW} more [damaged-file]"),
        ("{'descr': '|u1'}", b"", f"{KEYS}: ['descr'] [damaged-file]"),
    ],
    ids=["bomb", "negative", "short", "long", "header"],
)  # fmt: skip
def test_a_header_is_checked_before_the_data_is_read(tmp_path: Path, header: str, data: bytes, what: str) -> None:
    """No more is unpacked than the header says."""
    path = member(tmp_path / "a.npz", header, data)
    with refused(f"{path}: {what}"):
        made("images", path, **TWO)


@settings(deadline=None, max_examples=150)
@given(place=st.integers(0, 400), data=st.binary(max_size=12), cut=st.booleans())
def test_any_damage_of_an_npz_file_is_a_data_error_or_does_not_matter(
    tmp_path_factory: pytest.TempPathFactory, place: int, data: bytes, cut: bool
) -> None:
    """No other error than ours."""
    path = saved(tmp_path_factory.mktemp("npz") / "a.npz", True, x=X[:4, :2, :2], y=Y[:4])
    whole = path.read_bytes()
    path.write_bytes(whole[:place] if cut else whole[:place] + data + whole[place + len(data) :])
    with suppress(DataError):
        assert npz.arrays(path, [npz.WHOLE]).keys() == {"x", "y"}


def test_another_file_is_no_npz_file(tmp_path: Path) -> None:
    """By its name, or by what is in it."""
    (tmp_path / "a.txt").write_text("hello")
    with refused(f"{tmp_path}/a.txt: expected a folder with a folder per class, or an NPZ file [wrong-file]"):
        made("images", tmp_path / "a.txt", **TWO)
    (tmp_path / "a.npz").write_text("hello")
    with refused(f"{tmp_path}/a.npz: cannot be read as NPZ: File is not a zip file [damaged-file]"):
        made("images", tmp_path / "a.npz", **TWO)


def test_augmentation_is_a_shift_and_if_asked_for_a_flip(tmp_path: Path) -> None:
    """Each augmented image is a training image or its mirror image; half of them are mirrored."""
    path = saved(tmp_path / "a.npz", x=noise(400, 8, 8), y=np.arange(400) % 2)
    dataset = made("images", path, "{shift: 0, flip: true}", **TWO)
    rows = torch.arange(len(dataset.train))
    images, labels = dataset.augment(dataset.train, rows, np.random.default_rng(0))
    same = (images == dataset.train.images).flatten(1).all(dim=1)
    mirrored = (images.flip(3) == dataset.train.images).flatten(1).all(dim=1)
    assert bool((same ^ mirrored).all())
    assert 0.4 < float(mirrored.double().mean()) < 0.6
    assert torch.equal(labels, dataset.train.labels)
    assert options("images") == {"validation": 0.1, "test": 0.1, "shift": 2, "flip": False, "limit": None}
    assert DATASETS["images"](Request(root=path, **TWO)).augment.pixels == 0  # type: ignore[union-attr]
