"""Notations of cells, on every row of the published table where it is at hand."""

from __future__ import annotations

import csv
import re
from pathlib import Path

import numpy as np
import pytest

import spaces
from spaces.notations import NOTATIONS, WrongNotation
from spaces.randomness import generator

TABLE = Path(__file__).resolve().parents[4] / "shared" / "data" / "nb201" / "nb201_accuracy.csv"


def test_every_row_of_nas_bench_201_is_an_architecture() -> None:
    """Strings and digits, there and back; and the counts are an exact linear function of ours.

    Parameters differ by the batch norms, which are folded here. FLOPs there count pools too.
    """
    if not TABLE.exists():
        pytest.skip(f"the table {TABLE.name} is not here")
    space = spaces.load("nasbench201")
    with TABLE.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    found = [space.parse(row["arch_str"]) for row in rows]
    assert [space.format(a) for a in found] == [row["arch_str"] for row in rows]
    assert all(space.parse(row["ops"]) == a for row, a in zip(rows, found, strict=True))
    batch = space.batch(found)
    assert len({a.key for a in batch}) == len(rows) == space.size
    cost = space.cost(batch)
    counts = np.stack([(batch.codes == op).sum(axis=1) for op in range(5)], axis=1)
    norms = 5 * (16 + 32 + 64) * counts[:, 2:4].sum(axis=1) + 16 + 3 * 32 + 3 * 64 - 32 - 64 + 2 * 64
    ours = cost["parameters"] + norms
    assert np.allclose(ours / 1e6, [float(row["params_m"]) for row in rows], atol=1e-9)
    places = 5 * (16 * 32**2 + 32 * 16**2 + 64 * 8**2)
    excess = np.array([float(row["mflops"]) for row in rows]) - cost["macs"] / 1e6
    design = np.concatenate([counts * places / 1e6, np.ones((len(rows), 1))], axis=1)
    weights, *_ = np.linalg.lstsq(design, excess, rcond=None)
    assert np.abs(design @ weights - excess).max() < 1e-6


@pytest.mark.parametrize("name", ["nasbench201", "darts", "sharpdarts"])
def test_what_is_written_is_read_back(name: str) -> None:
    """Any architecture."""
    space = spaces.load(name)
    for a in space.sample_many(50, generator(0, "test")):
        assert space.parse(space.format(a)) == a


def test_the_published_genotype_of_darts_is_read() -> None:
    """DARTS_V2, entries as its authors list them."""
    text = (
        "normal=[sep_conv_3x3~0 sep_conv_3x3~1 sep_conv_3x3~0 sep_conv_3x3~1 sep_conv_3x3~1 skip_connect~0 "
        "skip_connect~0 dil_conv_3x3~2] reduce=[max_pool_3x3~0 max_pool_3x3~1 skip_connect~2 max_pool_3x3~1 "
        "max_pool_3x3~0 skip_connect~2 skip_connect~2 max_pool_3x3~1]"
    )
    space = spaces.load("darts")
    a = space.parse(text)
    assert a["normal.5.inputs"] == "0-2"
    assert a["normal.5.1.operation"] == "dil_conv_3x3"
    assert space.parse(space.format(a)) == a


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("nasbench201", "12345", "'12345': expected six digits from 0 to 4, or |op~0|"),
        ("nasbench201", "123455", "expected six digits from 0 to 4"),
        ("nasbench201", "|conv~0|+|none~0|none~1|+|none~0|none~1|none~2|",
         "unknown operation conv~0; known: none, skip_connect, nor_conv_1x1, nor_conv_3x3, avg_pool_3x3"),
        ("darts", "normal=[]", "expected normal=[op~from …] with 8 entries"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_said(name: str, text: str, message: str) -> None:
    """With place and expectation."""
    with pytest.raises(WrongNotation, match=re.escape(message)):
        spaces.load(name).parse(text)


@pytest.mark.parametrize("notation", ["nasbench201", "darts"])
@pytest.mark.parametrize("name", ["nasbench201", "darts", "digits", "tangle_cell"])
def test_another_space_is_refused_with_the_choice_that_differs(notation: str, name: str) -> None:
    """Never a foreign exception."""
    space = spaces.load(name)
    if name == notation:
        return
    strange = spaces.Space(name, space.choices, space.outline, NOTATIONS[notation])
    expected = rf"space {name} has (a|no) choice .+: this notation is of another space \[no-notation\]"
    with pytest.raises(WrongNotation, match=expected):
        strange.format(strange.at(0))
    with pytest.raises(WrongNotation, match=expected):
        strange.parse("123412")
