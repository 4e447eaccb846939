"""``dataset: super_resolution``: aligned crops of pictures and their bicubic reductions, judged by PSNR."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional as F

from nas.data import super_resolution as module
from nas.data.tasks import SuperResolution, luminance
from tests.nas.data.pngs import png
from tests.nas.data.shared import SHARED, check_dataset, check_disjoint, made, noise, real, refused

pytest.importorskip("PIL", reason="the extra images (pillow) is not installed")


def folder_of(folder: Path, sizes: list[tuple[int, ...]]) -> Path:
    """Pictures of these sizes, all different."""
    folder.mkdir(parents=True)
    for number, size in enumerate(sizes):
        (folder / f"{number:02}.png").write_bytes(png(noise(*size, seed=number)))
    return folder


def asked(scale: int, size: int = 6, channels: int = 3) -> dict[str, object]:
    """What a network with small pictures of this size asks for."""
    return {"shape": (channels, size, size), "classes": channels, "scale": scale, "reads": "pictures"}


@pytest.mark.parametrize("scale", [2, 3, 4])
@pytest.mark.parametrize("channels", [1, 3])
def test_pictures_are_split_and_reduced(tmp_path: Path, scale: int, channels: int) -> None:
    """Seven of ten pictures to learn from; crops tile each of them, whichever way it lies."""
    root = folder_of(tmp_path / "pictures", [(51, 30, 3), (30, 51, 3)] * 5)
    dataset = check_dataset(lambda: made("super_resolution", root, **asked(scale, channels=channels)))
    check_disjoint(dataset)
    tiles = (51 // scale // 6) * (30 // scale // 6)
    assert [len(p) for p in (dataset.train, dataset.validation, dataset.test)] == [7 * tiles, tiles, 2 * tiles]
    assert dataset.shape == (channels, 6, 6)
    assert dataset.train.labels.shape[1:] == (channels, 6 * scale, 6 * scale)
    assert 0 <= float(dataset.train.images.min()) < 0.5 < float(dataset.train.images.max()) <= 1
    assert (dataset.task.loss, dataset.task.metric["unit"], dataset.about["scale"]) == ("l1", "dB", scale)


def test_the_reduction_is_the_antialiased_bicubic(tmp_path: Path) -> None:
    """As torch computes it by itself, with the same filter, up to rounding to 8 bits."""
    root = folder_of(tmp_path / "pictures", [(24, 24, 3)] * 4)
    dataset = made("super_resolution", root, **asked(2, size=12))
    expected = F.interpolate(dataset.train.labels, size=(12, 12), mode="bicubic", antialias=True).clamp(0, 1)
    assert float((dataset.train.images - expected).abs().max()) <= 1.01 / 255


def test_evaluation_in_the_middle(tmp_path: Path) -> None:
    """One crop of each picture."""
    root = folder_of(tmp_path / "pictures", [(40, 60, 3)] * 6)
    dataset = made("super_resolution", root, "{evaluate: centre, test: 0.4}", **asked(2))
    assert [len(p) for p in (dataset.train, dataset.validation, dataset.test)] == [3 * 15, 1, 2]
    whole = {png((part * 255).round().byte().permute(1, 2, 0).numpy()) for part in dataset.test.labels}
    middle = {png(noise(40, 60, 3, seed=n)[14:26, 24:36]) for n in range(6)}
    assert whole < middle


@settings(deadline=None, max_examples=25)
@given(seed=st.integers(0, 10**6), scale=st.sampled_from([2, 3, 4]), size=st.sampled_from([(4, 4), (3, 5)]))
def test_training_crops_are_aligned(seed: int, scale: int, size: tuple[int, int]) -> None:
    """Where a small pixel says its place, the large ones say the same, however the crop was turned."""
    h, w = 9, 8
    small = np.arange(h * w, dtype=np.uint8).reshape(1, h, w)
    large = small.repeat(scale, axis=1).repeat(scale, axis=2)
    pairs = [module.Pair(small, large), module.Pair(small + 100, large + 100)]
    images = torch.zeros(6, 1, *size)
    split = module.Split(images, torch.zeros(6, 1, scale * size[0], scale * size[1]))
    crops = module.Crops(pairs, np.array([0, 0, 0, 1, 1, 1]), scale)
    x, y = crops(split, torch.tensor([5, 0, 3]), np.random.default_rng(seed))
    assert (x.shape, y.shape) == ((3, 1, *size), (3, 1, scale * size[0], scale * size[1]))
    assert torch.equal(x.repeat_interleave(scale, 2).repeat_interleave(scale, 3), y)
    assert [float(part.min()) * 255 >= 99.5 for part in x] == [True, False, True]


def test_training_crops_come_from_everywhere() -> None:
    """All places, all eight positions."""
    small = np.arange(25, dtype=np.uint8).reshape(1, 5, 5)
    crops = module.Crops([module.Pair(small, small)], np.zeros(2000, np.int64), 1)
    split = module.Split(torch.zeros(2000, 1, 3, 3), torch.zeros(2000, 1, 3, 3))
    x, _ = crops(split, torch.arange(2000), np.random.default_rng(0))
    assert len({tuple((part * 255).round().int().flatten().tolist()) for part in x}) == 9 * 8


def test_psnr_by_hand() -> None:
    """An error of one step of 255 in every pixel of a grey picture, and in colour by the weights of luminance."""
    target = torch.full((2, 1, 10, 10), 0.5)
    found = SuperResolution(2).quality((target * 255).round() / 255 + 1 / 255, target)
    assert found.accuracy == pytest.approx(20 * np.log10(255), abs=1e-3)
    target = torch.full((1, 3, 10, 10), 100 / 255)
    off = target.clone()
    off[:, 1] += 3 / 255  # green
    found = SuperResolution(2).quality(off, target)
    assert found.accuracy == pytest.approx(20 * np.log10(255 / (3 * 128.553 / 255)), abs=1e-3)
    assert found.log_likelihood == pytest.approx(-1 / 255)
    white = luminance(torch.ones(1, 3, 1, 1))
    assert float(white) * 255 == pytest.approx(235)


def test_borders_do_not_count_and_equal_pictures_have_100_db() -> None:
    """As many pixels at each border as the scale; mean over pictures, not over pixels."""
    target = torch.rand(2, 3, 12, 12, generator=torch.Generator().manual_seed(0))
    off = target.clone()
    off[0, :, :3] = 0
    off[0, :, :, -3:] = 1
    assert SuperResolution(3).quality(off, target).accuracy == pytest.approx(100)
    assert SuperResolution(2).quality(off, target).accuracy < 80
    assert SuperResolution(3).quality(off[:, :, :5, :5], target[:, :, :5, :5]).accuracy < 80


@pytest.mark.parametrize(
    ("sizes", "scale", "what"),
    [
        ([], 2, ": no PNG files in this folder [missing-file]"),
        ([(30, 30, 3)] * 3, 2, ": 3 examples are too few to be split into three parts [too-few]"),
        (
            [(30, 30, 3)] * 4,
            5,
            ": the network makes pictures 5 times as high, expected 2, 3 or 4 times [wrong-shape]\n"
            "  hint: write scale: 2 in the model section",
        ),
        (
            [(11, 30, 3)] * 4,
            2,
            "/00.png: 11x30 pixels are fewer than 12x12, 2 times the network's input [wrong-shape]\n"
            "  hint: remove it, or read less",
        ),
    ],
    ids=["empty", "few", "scale", "small"],
)
def test_what_does_not_do_is_named(tmp_path: Path, sizes: list[tuple[int, ...]], scale: int, what: str) -> None:
    """The file, or the folder."""
    root = folder_of(tmp_path / "pictures", sizes)
    with refused(f"{root}{what}"):
        made("super_resolution", root, **asked(scale))


def test_a_file_or_a_jpeg_is_refused(tmp_path: Path) -> None:
    """JPEG has lost what the network should make."""
    root = folder_of(tmp_path / "pictures", [(30, 30, 3)] * 4)
    with refused(f"{root}/00.png: not a folder; expected a folder of PNG files [wrong-file]"):
        made("super_resolution", root / "00.png", **asked(2))
    (root / "04.jpg").write_bytes(b"")
    with refused(f"{root}/04.jpg: expected .png files in this folder [wrong-file]\n  hint: convert or remove it"):
        made("super_resolution", root, **asked(2))


@real("sr_images")
def test_the_kodak_pictures_are_read() -> None:
    """24 of them: 17 to learn from; enlarging bicubically has the PSNR that is known for natural pictures."""
    dataset = made("super_resolution", SHARED / "sr_images", **asked(4, size=48))
    assert [len(p) for p in (dataset.train, dataset.validation, dataset.test)] == [17 * 8, 2 * 8, 5 * 8]
    enlarged = F.interpolate(dataset.test.images, scale_factor=4, mode="bicubic").clamp(0, 1)
    assert 23 < dataset.task.quality(enlarged, dataset.test.labels).accuracy < 30
