"""``dataset: text``: windows of tokens and their successors, cut by position, and the vocabulary."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from nas.data import DataError, Dataset, text
from nas.data.tasks import IGNORED, MaskedToken, NextToken
from nas.data.windows import Moved, window_of
from tests.nas.data.shared import SHARED, check_dataset, made, real, refused


def shape(length: int, vocabulary: int = 256) -> dict[str, object]:
    """What a network of so many tokens asks for."""
    return {"shape": (1, length, 1), "classes": vocabulary, "reads": "tokens"}


def rng_of(seed: int) -> np.random.Generator:
    """A generator of its own."""
    return np.random.default_rng(seed)


def decoded(dataset: Dataset, tokens: torch.Tensor) -> str:
    """The characters of token numbers."""
    return "".join(dataset.about["vocabulary"][i] for i in tokens.flatten())


@settings(deadline=None, max_examples=60)
@given(
    written=st.text(st.characters(exclude_categories=["Cs"]), min_size=60, max_size=300),
    length=st.integers(1, 3),
    share=st.sampled_from([0.2, 0.3]),
)
def test_windows_are_parts_of_the_text_in_its_order(
    tmp_path_factory: pytest.TempPathFactory, written: str, length: int, share: float
) -> None:
    """Each part's windows together are a stretch of the text; targets follow; parts do not overlap."""
    path = tmp_path_factory.mktemp("text") / "a.txt"
    path.write_bytes(written.encode())
    written = written.removeprefix("\ufeff")
    dataset = check_dataset(lambda: made("text", path, f"{{validation: {share}, test: {share}}}", **shape(length, 999)))
    assert dataset.shape == (1, length, 1)
    place = 0
    for part, size in (
        (dataset.train, len(written) - 2 * round(share * len(written))),
        (dataset.validation, round(share * len(written))),
        (dataset.test, round(share * len(written))),
    ):
        stretch = written[place : place + size]
        assert stretch.startswith(decoded(dataset, part.images))
        assert stretch[1:].startswith(decoded(dataset, part.labels))
        assert len(part) == (size - 1) // length
        place += size


@settings(deadline=None, max_examples=30)
@given(size=st.integers(11, 60), seed=st.integers(0, 99))
def test_in_training_windows_are_moved_and_stay_inside_the_part(size: int, seed: int) -> None:
    """Consecutive tokens, their successors, none of another part; every place occurs."""
    tokens = torch.arange(size)
    window = window_of("tokens", 5, size)
    split = window.split(tokens)
    seen = set()
    for epoch in range(30):
        rng = np.random.default_rng([seed, epoch])
        x, y = Moved(tokens, window)(split, torch.arange(len(split)), rng)
        assert torch.equal(y, x + 1)
        assert torch.equal(x, x[:, :1] + torch.arange(5))
        seen |= {int(start) for start in x[:, 0]}
        assert all(5 * i <= start < 5 * (i + 1) or start == size - 6 for i, start in enumerate(x[:, 0].tolist()))
    assert seen <= set(range(size - 5))
    assert len(seen) > (size - 5) // 2


def test_bytes_have_a_vocabulary_of_256(tmp_path: Path) -> None:
    """Of which nothing needs to be kept; line ends stay what they are."""
    path = tmp_path / "a.txt"
    path.write_bytes(("Grüße\r\n" * 40).encode())
    dataset = check_dataset(lambda: made("text", path, "{tokens: bytes}", **shape(4)))
    assert bytes(dataset.train.images.flatten().tolist()[:9]) == "Grüße\r\n".encode()
    assert dataset.about == {"tokens": "bytes"}
    assert isinstance(dataset.task, NextToken)


def test_the_quality_is_the_likelihood_of_the_next_token() -> None:
    """Perplexity of a network that knows nothing is the size of its vocabulary."""
    found = NextToken().quality(torch.zeros(3, 7, 65), torch.zeros(3, 7, dtype=torch.int64))
    assert np.exp(-found.accuracy) == pytest.approx(65)
    assert found.log_likelihood == found.accuracy


@pytest.mark.parametrize(
    ("data", "what"),
    [
        (
            b"ab" * 100,
            "2 different characters, but the network's vocabulary is 1 [wrong-classes]\n"
            "  hint: write vocabulary: 2 in the model section",
        ),
        (b"caf\xe9" * 50, "not UTF-8: byte 0xe9 at 3 [damaged-file]\n  hint: convert it to UTF-8"),
        (b"a" * 60 + "é".encode()[:1], "not UTF-8: byte 0xc3 at 60 [damaged-file]\n  hint: convert it to UTF-8"),
        (
            b"a" * 20,
            "its validation part has 1 tokens, expected 9 at least: those of a window [too-few]\n"
            "  hint: use a longer text, or fewer tokens in the model section",
        ),
        (
            b"",
            "its train part has 0 tokens, expected 9 at least: those of a window [too-few]\n"
            "  hint: use a longer text, or fewer tokens in the model section",
        ),
        (b"a" * 2000, "more than 1000 bytes are not read [too-large]\n  hint: use a part of it"),
    ],
    ids=["vocabulary", "latin-1", "cut", "short", "empty", "long"],
)
def test_a_text_that_does_not_do_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, data: bytes, what: str
) -> None:
    """With the place of the damage."""
    monkeypatch.setattr(text, "MOST_BYTES", 1000)
    (tmp_path / "a.txt").write_bytes(data)
    with refused(f"{tmp_path}/a.txt: {what}"):
        made("text", tmp_path / "a.txt", **shape(8, 1))


def test_a_folder_or_nothing_is_no_text(tmp_path: Path) -> None:
    """Both are named."""
    with refused(f"{tmp_path}: not a file; expected a UTF-8 text file [wrong-file]"):
        made("text", tmp_path)
    with refused(f"{tmp_path}/a: no such file or folder; expected a UTF-8 text file [missing-file]"):
        made("text", tmp_path / "a")


@settings(deadline=None, max_examples=40)
@given(length=st.integers(2, 9), size=st.integers(20, 60), seed=st.integers(0, 99))
def test_a_network_of_two_sequences_goes_on_after_the_first(length: int, size: int, seed: int) -> None:
    """The decoder reads what stands before each token it is to give; no two windows give the same token."""
    tokens = torch.arange(size)
    window = window_of("pairs", length, size)
    split = window.split(tokens)
    for x, y in ((split.images, split.labels), Moved(tokens, window)(split, torch.arange(len(split)), rng_of(seed))):
        assert x.shape == (len(split), 2, length)
        assert torch.equal(y, x[:, 1] + 1)
        assert torch.equal(y, x[:, 0] + length)
    assert split.labels.unique().numel() == split.labels.numel() >= size - 2 * length + 1


@settings(deadline=None, max_examples=40)
@given(length=st.integers(1, 20), count=st.integers(1, 40), seed=st.integers(0, 99))
def test_gaps_are_asked_for_and_nothing_else(length: int, count: int, seed: int) -> None:
    """At least one in each window; what is not asked for stands as it is; all numbers are of the vocabulary."""
    stretch = torch.from_numpy(rng_of(seed).integers(0, 50, (count, length)))
    x, y = window_of("gaps", length, 50).example(stretch, rng_of(seed))
    asked = y != IGNORED
    assert asked.any(dim=1).all()
    assert torch.equal(y[asked], stretch[asked])
    assert torch.equal(x[~asked], stretch[~asked])
    assert x.min() >= 0
    assert x.max() <= 50


def test_gaps_are_as_frequent_as_published() -> None:
    """15 % of the tokens; of these 80 % are masked, 10 % and a few that are drawn again stay."""
    stretch = torch.from_numpy(rng_of(0).integers(0, 50, (2000, 64)))
    x, y = window_of("gaps", 64, 50).example(stretch, rng_of(1))
    asked = y != IGNORED
    assert float(asked.double().mean()) == pytest.approx(0.15 + 0.85 / 64, abs=0.01)
    assert float((x[asked] == 50).double().mean()) == pytest.approx(0.8, abs=0.01)
    assert float((x == y)[asked].double().mean()) == pytest.approx(0.1 + 0.1 / 50, abs=0.01)


def test_the_quality_of_gaps_is_that_of_what_was_asked_for() -> None:
    """Whatever the outputs are elsewhere; and so is the agreement of two forms."""
    outputs, targets = torch.zeros(2, 4, 5), torch.full((2, 4), IGNORED)
    targets[0, 1], targets[1, 3] = 2, 4
    outputs[0, 0, 3] = 99.0
    found = MaskedToken().quality(outputs, targets)
    assert np.exp(-found.accuracy) == pytest.approx(5)
    assert MaskedToken().agreement(outputs, torch.zeros_like(outputs), targets).value == 1


def test_the_mask_needs_a_number(tmp_path: Path) -> None:
    """Told with the vocabulary to write."""
    (tmp_path / "a.txt").write_text("ab" * 200)
    asked = {"shape": (1, 8, 1), "reads": "gaps"}
    what = "2 different characters and the mask, but the network's vocabulary is 2 [wrong-classes]"
    with refused(f"{tmp_path}/a.txt: {what}\n  hint: write vocabulary: 3 in the model section"):
        made("text", tmp_path / "a.txt", **asked, classes=2)
    dataset = check_dataset(lambda: made("text", tmp_path / "a.txt", **asked, classes=3))
    assert dataset.about["mask"] == 2
    assert dataset.shape == (1, 8, 1)
    assert isinstance(dataset.task, MaskedToken)


@settings(deadline=None, max_examples=50)
@given(data=st.binary(max_size=80))
def test_any_bytes_are_a_text_or_a_data_error(tmp_path_factory: pytest.TempPathFactory, data: bytes) -> None:
    """Nothing else."""
    path = tmp_path_factory.mktemp("text") / "a.txt"
    path.write_bytes(data)
    try:
        made("text", path, "{validation: 0.2, test: 0.2}", **shape(1))
    except DataError:
        return


@real("text")
def test_tinyshakespeare_is_read() -> None:
    """65 characters, a million windows' worth of them."""
    dataset = check_dataset(lambda: made("text", SHARED / "text" / "tinyshakespeare.txt", **shape(64, 65)))
    assert len(dataset.about["vocabulary"]) == 65
    assert [len(p) for p in (dataset.train, dataset.validation, dataset.test)] == [15685, 871, 871]
    assert decoded(dataset, dataset.train.images)[:14] == "First Citizen:"
