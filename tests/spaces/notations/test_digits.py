"""Notations of digits, on every row of the published tables where they are at hand."""

from __future__ import annotations

import csv
import re
from pathlib import Path

import pytest

import spaces
from spaces.notations import WrongNotation
from spaces.randomness import generator

DATA = Path(__file__).resolve().parents[4] / "shared" / "data"
OFA = DATA / "ofa_latency" / "ofa_mbv3_latency_ms.csv"
FBNET = DATA / "fbnet_latency" / "fbnet_latency_ms.csv"


def rows(path: Path) -> list[dict[str, str]]:
    """Rows of a table; the test is skipped where it is not."""
    if not path.exists():
        pytest.skip(f"the table {path.name} is not here")
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


@pytest.mark.parametrize("name", ["nas_bench_macro", "fbnet", "ofa_mobilenetv3"])
def test_what_is_written_is_read_back(name: str) -> None:
    """Any architecture."""
    space = spaces.load(name)
    for a in space.sample_many(100, generator(0, "test")):
        assert space.parse(space.format(a)) == a


def test_every_row_of_the_fbnet_table_is_an_architecture() -> None:
    """22 digits each, and the same back."""
    space = spaces.load("fbnet")
    for row in rows(FBNET):
        assert space.format(space.parse(row["ops"])) == row["ops"]


def test_every_row_of_the_ofa_table_is_an_architecture() -> None:
    """And the same back, but for digits of blocks that are not there."""
    space = spaces.load("ofa_mobilenetv3")
    for row in rows(OFA):
        written = ",".join(f"{key}={row[key]}" for key in ("ks", "expand", "depth", "resolution"))
        used = [block < int(depth) for depth in row["depth"] for block in range(4)]
        for key in ("ks", "expand"):
            row[key] = "".join(digit if there else "0" for digit, there in zip(row[key], used, strict=True))
        known = ",".join(f"{key}={row[key]}" for key in ("ks", "expand", "depth", "resolution"))
        assert space.format(space.parse(written)) == known
        assert space.parse(known) == space.parse(written)


GOOD = "ks=" + "3" * 20 + ",expand=" + "4" * 20 + ",depth=22222,resolution=224"
NOTED = "model: {{family: convnet, notation: {0}, input: [1, 8, 8], classes: 2, stages: [{1}]}}"


def test_digits_beyond_the_depth_are_read_over_and_written_0() -> None:
    """Whatever stands there."""
    space = spaces.load("ofa_mobilenetv3")
    architecture = space.parse(GOOD.replace("3" * 20, "3399" * 5))
    assert architecture == space.parse(GOOD)
    assert space.format(architecture) == f"ks={'3300' * 5},expand={'4400' * 5},depth=22222,resolution=224"
    assert not any(name.startswith(("stages.1.2.", "stages.1.3.")) for name in architecture)


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("nas_bench_macro", "0121", "'0121': expected 8 digits, got 4 [syntax]"),
        ("nas_bench_macro", "0000000x", "'0000000x': 'x' at position 7: expected 0 to 2 [out-of-range]"),
        ("nas_bench_macro", "00003000", "'00003000': '3' at position 4: expected 0 to 2 [out-of-range]"),
        ("nas_bench_macro", "0000000١", "'0000000١': '١' at position 7: expected 0 to 2 [out-of-range]"),
        ("fbnet", "9" * 22, f"'{'9' * 22}': '9' at position 0: expected 0 to 8 [out-of-range]"),
        ("ofa_mobilenetv3", "ks=3", "'ks=3': expected ks=…,expand=…,depth=…,resolution=… [syntax]"),
        ("ofa_mobilenetv3", "ks=3,ks=3,depth=2,resolution=224",
         "'ks=3,ks=3,depth=2,resolution=224': expected ks=…,expand=…,depth=…,resolution=… [syntax]"),
        ("ofa_mobilenetv3", GOOD.replace("depth=2", "depth="), "depth '2222': expected 5 digits [syntax]"),
        ("ofa_mobilenetv3", GOOD.replace("224", "big"), "resolution 'big': expected a number of pixels [syntax]"),
        ("ofa_mobilenetv3", GOOD.replace("ks=3", "ks=4"),
         "ks[0] is 4 (stages.1.0.kernel): expected one of 3, 5, 7 [out-of-range]"),
        ("ofa_mobilenetv3", GOOD.replace("h=2222", "h=2225"),
         "depth[3] is 5 (stages.4.depth): expected one of 2, 3, 4 [out-of-range]"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_said(name: str, text: str, message: str) -> None:
    """With place and expectation."""
    with pytest.raises(WrongNotation, match=rf"\A{re.escape(message)}\Z"):
        spaces.load(name).parse(text)


def test_a_resolution_beyond_all_numbers_is_refused() -> None:
    """However long."""
    with pytest.raises(WrongNotation, match=r"\Aresolution '9+.*: expected a number of pixels"):
        spaces.load("ofa_mobilenetv3").parse(GOOD.replace("224", "9" * 10_000))


@pytest.mark.parametrize(
    ("notation", "stages", "message"),
    [
        ("fbnet", "{depth: {choice: [1, 2]}, kernel: {choice: [1, 3], per: block}}",
         "a digit cannot write stages.0.1.kernel, which may be absent [no-notation]"),
        ("nas_bench_macro", "{width: {range: [1, 11]}}",
         "a digit cannot write stages.0.width, which has 11 values [no-notation]"),
        ("ofa", "{width: {choice: [8, 16]}}", "has no choice resolution: it is none of Once-for-all's [no-notation]"),
    ],
)  # fmt: skip
def test_spaces_that_a_notation_cannot_write_are_named(notation: str, stages: str, message: str) -> None:
    """Whether reading or writing."""
    space = spaces.from_text(NOTED.format(notation, stages))
    with pytest.raises(WrongNotation, match=rf"\Aspace space.*{re.escape(message)}\Z"):
        space.parse("0")
    with pytest.raises(WrongNotation, match=re.escape(message)):
        space.format(space.at(0))
