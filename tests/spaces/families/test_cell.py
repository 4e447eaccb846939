"""Cells: sizes derived by hand, counts of NAS-Bench-201's own networks, the strides of reduction cells."""

from __future__ import annotations

import re
import time
from math import comb, prod

import numpy as np
import pytest

import spaces
from spaces import from_text
from spaces.families.cell_operations import OPERATIONS
from spaces.randomness import generator
from spaces.yaml import SpecError


def darts_size(operations: int) -> int:
    """Per cell: node n of 4 picks two of n + 2 nodes before it, and an operation for each; two cells."""
    return (prod(comb(n + 2, 2) for n in range(4)) * operations**8) ** 2


@pytest.mark.parametrize(
    ("name", "size"),
    [("nasbench201", 5**6), ("tangle_cell", 4**6), ("darts", darts_size(7)), ("sharpdarts", darts_size(11))],
)
def test_sizes_are_as_derived(name: str, size: int) -> None:
    """And sampled architectures are sound: reading the file has checked their shapes."""
    space = spaces.load(name)
    assert space.size == size
    for a in space.sample_many(10, generator(0, "test")):
        assert space.architecture(a) == a


def published(space: spaces.Space, digits: str) -> float:
    """Parameters in millions as NAS-Bench-201 counts them: two per channel of a batch norm, the last one included."""
    a = space.parse(digits)
    folded = sum(y.c_out for y in space.outline.layers(a) if y.norm)
    return (int(space.cost([a])["parameters"][0]) + folded + 2 * 64) / 1e6


def test_parameters_are_those_of_nas_bench_201() -> None:
    """Five of its networks, by the digits of their edges."""
    space = spaces.load("nasbench201")
    known = {"421211": 0.129306, "334131": 0.802426, "333333": 1.531546, "000000": 0.073306, "444444": 0.073306}
    for digits, millions in known.items():
        assert published(space, digits) == pytest.approx(millions, abs=1e-9), digits


def test_parameters_are_those_of_tangle_nas() -> None:
    """The smallest and the largest of all 4,096 choose one operation everywhere. Norms have no weights there."""
    space = spaces.load("tangle_cell")
    alike = [space.architecture({c.name: op for c in space.choices}) for op in space.choices[0].values]
    batch = space.batch([*alike, *space.sample_many(100, generator(3, "test"))])
    folded = np.array([sum(y.c_out for y in space.outline.layers(a) if y.norm) for a in batch])
    parameters = space.cost(batch)["parameters"] - folded
    assert (parameters.min(), parameters.max()) == (176_938, 211_114)


def test_macs_of_a_cell_by_hand() -> None:
    """All 3x3: fifteen cells of six convolutions, stem, two residual blocks, classifier."""
    space = spaces.load("nasbench201")
    cells = 5 * 6 * 9 * (16 * 16 * 32**2 + 32 * 32 * 16**2 + 64 * 64 * 8**2)
    blocks = sum((c * 2 * c * 9 + 2 * c * 2 * c * 9 + c * 2 * c) * side**2 for c, side in ((16, 16), (32, 8)))
    macs = 3 * 16 * 9 * 32**2 + cells + blocks + 64 * 10
    assert space.cost([space.parse("333333")])["macs"].tolist() == [macs]


def test_what_an_edge_does_not_choose_is_absent() -> None:
    """Of each edge one operation's layers, in every cell the same."""
    space = spaces.load("nasbench201")
    layers = space.outline.layers(space.parse("321043"))
    of_edge = [y.path for y in layers if y.path.startswith("cells.0.1.0.")]
    assert of_edge == ["cells.0.1.0.nor_conv_3x3.relu", "cells.0.1.0.nor_conv_3x3.conv"]
    assert not any("cells.3.2.1." in y.path for y in layers)  # a skip is no layer at all


def test_reductions_halve_only_what_comes_from_outside() -> None:
    """An edge from another node of the cell has stride 1, whichever was chosen."""
    space = spaces.load("darts")
    for a in space.sample_many(20, generator(1, "test")):
        shapes = {y.path: (y.c_out, y.out_h) for y in space.outline.layers(a)}
        assert [shapes[f"cells.{i}.concat"] for i in (1, 2, 4, 5, 7)] == [
            (64, 32), (128, 16), (128, 16), (256, 8), (256, 8)
        ]  # fmt: skip
        for y in space.outline.layers(a):
            if ".skip_connect." in y.path:
                assert y.path.split(".")[1] in ("2", "5")  # factorized only in the reductions


def test_precision_is_of_each_cells_own_layers() -> None:
    """Cells share operations, and not precisions."""
    space = from_text(
        "precision: {choice: [float, w8a8]}\nmodel: {family: cell, operations: [nor_conv_1x1, none], nodes: 1, "
        "stack: [{normal: 2}]}"
    )
    assert [c.name for c in space.choices] == [
        "stem.conv.precision", "normal.1.0.operation", "cells.0.1.0.nor_conv_1x1.conv.precision",
        "cells.1.1.0.nor_conv_1x1.conv.precision", "classifier.precision",
    ]  # fmt: skip
    assert space.size == 2 * (1 + 4) * 2


def test_costs_of_many_are_those_of_each() -> None:
    """Strides that are looked up, and selections, in a batch."""
    space = spaces.load("darts")
    batch = space.sample_many(8, generator(2, "test"))
    together = space.cost(batch)
    for row, a in enumerate(batch):
        assert {name: int(column[0]) for name, column in space.cost([a]).items()} == {
            name: int(column[row]) for name, column in together.items()
        }
    assert np.all(together["macs"] > 0)


def test_a_file_of_too_many_layers_ends_early() -> None:
    """Not one that is refused after minutes."""
    names = ", ".join(OPERATIONS)
    text = f"model: {{family: cell, operations: [{names}], nodes: 20, wiring: pairs, stack: [{{normal: 1000}}]}}"
    started = time.monotonic()
    with pytest.raises(SpecError, match=re.escape("[too-large]")):
        from_text(text)
    assert time.monotonic() - started < 20  # it took minutes; some seconds on any machine


@pytest.mark.parametrize(
    ("model", "problem"),
    [
        ("operations: [none], stack: [norml]",
         "1:51: unknown cell text 'norml': write normal, reduce or residual, or {normal: 5} [unknown-name]\n"
         "  hint: did you mean 'normal'?"),
        ("operations: [none], stack: [[normal]]",
         "1:51: unknown cell a list: write normal, reduce or residual, or {normal: 5} [unknown-name]"),
        ("operations: [none], stack: [{normal: 0}]",
         "1:60: number of 'normal' cells must be from 1 to 1000, not number 0 [out-of-range]"),
        ("operations: [none], stack: []",
         "1:50: stack must be a list of cells, at least one and at most 1000 [wrong-type]"),
        ("operations: [nor_conv_3], stack: [normal]",
         "1:36: unknown name 'nor_conv_3' for 'space.model.operations.0' [unknown-name]\n"
         "  hint: did you mean 'nor_conv_3x3'?"),
        ("stack: [normal]", "1:8: missing key 'space.model.operations' [missing-key]"),
        ("operations: [none, none], stack: [normal]",
         "1:42: 'none' stands twice in 'space.model.operations' [duplicate-value]\n"
         "  hint: delete one of the two"),
    ],
)  # fmt: skip
def test_what_is_wrong_has_place_message_and_hint(model: str, problem: str) -> None:
    """Every message of the family."""
    message = f"space.yaml:{problem}\n1 problem; nothing was written"
    with pytest.raises(SpecError, match=rf"\A{re.escape(message)}\Z"):
        from_text(f"model: {{family: cell, {model}}}\n")
