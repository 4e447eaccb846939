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


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("nas_bench_macro", "0121", "'0121': expected 8 digits [syntax]"),
        ("nas_bench_macro", "0000000x", "'0000000x': expected 8 digits [syntax]"),
        ("nas_bench_macro", "00003000", "'00003000': digit 3 at position 4: it has 0 to 2 [out-of-range]"),
        ("ofa_mobilenetv3", "ks=3", "'ks=3': expected ks=…,expand=…,depth=…,resolution=… [syntax]"),
        ("ofa_mobilenetv3", GOOD.replace("depth=2", "depth="), "depth must have 5 digits [syntax]"),
        ("ofa_mobilenetv3", GOOD.replace("224", "big"), "resolution must be a number of pixels [syntax]"),
        ("ofa_mobilenetv3", GOOD.replace("ks=3", "ks=4"), "stages.1.0.kernel: 4 is not a value of this choice"),
    ],
)
def test_what_is_wrong_is_said(name: str, text: str, message: str) -> None:
    """With place and expectation."""
    with pytest.raises(WrongNotation, match=re.escape(message)):
        spaces.load(name).parse(text)
