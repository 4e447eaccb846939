"""``family: superres``: QuantNAS's space against what is worked out by hand."""

from __future__ import annotations

import re

import pytest

import spaces
from spaces import Architecture, from_text
from spaces.families.superres import OPERATIONS
from spaces.randomness import generator
from spaces.yaml import SpecError
from tests.spaces.families.by_hand import NOTHING, Cost, conv, counted

SMALL = """
model:
  family: superres
  input: [3, 6, 5]
  scale: 2
  channels: 8
  head: {depth: 1, operation: simple_3}
  body: {depth: 2, operation: {choice: [simple_3, growth_1]}}
  skip: {operation: simple_1}
  upsample: {operation: simple_3}
  tail: {depth: {choice: [0, 1]}, operation: simple_3}
"""


def operation(name: str, places: int, c_in: int, c_out: int) -> Cost:
    """One position."""
    form, kernel = name.rsplit("_", 1)
    k = int(kernel)
    if form == "growth":
        return conv(places, c_in, 2 * c_in, k) + conv(places, 2 * c_in, c_out, k)
    if form == "encoder_decoder":
        c = c_in // 4
        return conv(places, c_in, c, k) + conv(places, c, c, k) + conv(places, c, c_out, k)
    return conv(places, c_in, c_out, k, {"simple": 1, "grouped2": 2, "grouped3": 3}[form])


def quantnas(a: Architecture) -> Cost:
    """A network of the space quantnas_sr: 48 channels at 48 x 48, times 4."""
    small, large, found = 48 * 48, 192 * 192, NOTHING
    for i in range(int(a["head.depth"])):
        found += operation(str(a[f"head.{i}.operation"]), small, 3 if i == 0 else 48, 48)
    for cell in range(4):
        for i in range(4):
            found += operation(str(a[f"cells.{cell}.body.{i}.operation"]), small, 48, 24 if i == 3 else 48)
        for i in range(3):
            found += operation(str(a[f"cells.{cell}.skip.{i}.operation"]), small, 48, 24)
        found += conv(small, 4 * 24, 48, 1)
    found += conv(small, 4 * 48, 48, 1) + conv(small, 48, 48, 3)
    found += operation(str(a["upsample.operation"]), small, 48, 3 * 16)
    return found + (operation(str(a["tail.0.operation"]), large, 3, 3) if a["tail.depth"] else NOTHING)


def test_quantnas_sr() -> None:
    """Size, with two precisions at each position, and costs."""
    space = spaces.load("quantnas_sr")
    head, tail = 2 * 2 + (2 * 2) ** 2, 1 + 2 * 2
    assert space.size == head * (9 * 2) ** (4 * 4) * (4 * 2) ** (4 * 3) * (9 * 2) * tail
    assert space.outline.input_shape == (3, 48, 48)
    batch = list(space.sample_many(40, generator(0, "test"), by_choice=True))
    for a in batch:
        assert counted(space, a) == quantnas(a)
    assert {a["tail.depth"] for a in batch} == {0, 1}


def test_every_operation_by_hand() -> None:
    """As the only position of a body."""
    for name in OPERATIONS:
        if name.startswith("grouped3"):
            continue  # 8 channels are not
        fixed = SMALL.replace("{choice: [simple_3, growth_1]}", name).replace("{choice: [0, 1]}", "0")
        found = counted(from_text(fixed.replace("body: {depth: 2", "body: {depth: 1")))
        frame = conv(30, 3, 8, 3) + conv(30, 4, 8, 1) + conv(30, 8, 8, 1) + conv(30, 8, 8, 3) + conv(30, 8, 12, 3)
        assert found == frame + operation(name, 30, 8, 4)


def test_layers_of_a_cell() -> None:
    """What is beside, what is added, and an alternative that is not taken passes its input on."""
    space = from_text(SMALL)
    assert [c.name for c in space.choices] == ["cells.0.body.0.operation", "cells.0.body.1.operation", "tail.depth"]
    values = {"cells.0.body.0.operation": "growth_1", "cells.0.body.1.operation": "simple_3", "tail.depth": 1}
    layers = {y.path: y for y in space.outline.layers(space.architecture(values))}
    assert [(path, y.inputs, y.c_out) for path, y in layers.items()] == [
        ("head.0.simple_3.0", ("input",), 8),
        ("cells.0.skip.0.simple_1.0", ("head.0.simple_3.0",), 4),
        ("cells.0.body.0.growth_1.0", ("head.0.simple_3.0",), 16),
        ("cells.0.body.0.growth_1.1", ("cells.0.body.0.growth_1.0",), 8),
        ("cells.0.body.0.add", ("cells.0.body.0.growth_1.1", "head.0.simple_3.0"), 8),
        ("cells.0.body.1.simple_3.0", ("cells.0.body.0.add",), 4),
        ("cells.0.concat", ("cells.0.skip.0.simple_1.0", "cells.0.body.1.simple_3.0"), 8),
        ("cells.0.mix", ("cells.0.concat",), 8),
        ("cells.0.add", ("cells.0.mix", "head.0.simple_3.0"), 8),
        ("concat", ("cells.0.add",), 8),
        ("mix", ("concat",), 8),
        ("trunk", ("mix",), 8),
        ("add", ("trunk", "head.0.simple_3.0"), 8),
        ("upsample.simple_3.0", ("add",), 12),
        ("shuffle", ("upsample.simple_3.0",), 3),
        ("tail.0.simple_3.0", ("shuffle",), 3),
        ("tail.add", ("tail.0.simple_3.0", "shuffle"), 3),
    ]
    assert (layers["tail.add"].out_h, layers["tail.add"].out_w) == (12, 10)
    without = space.outline.layers(space.architecture({**values, "tail.depth": 0}))
    assert without[-1].path == "shuffle"


def test_a_position_has_one_precision() -> None:
    """Whatever operation stands there; convolutions at no position have that of ``support``."""
    bits = "precision: {choice: [w8a8, w4a8], per: block}\n"
    space = from_text(SMALL.replace("  scale", "  support: w8a8\n  scale") + bits)
    names = [c.name for c in space.choices if c.name.endswith("precision")]
    assert names == [
        "head.0.precision", "cells.0.skip.0.precision", "cells.0.body.0.precision", "cells.0.body.1.precision",
        "upsample.precision", "tail.0.precision",
    ]  # fmt: skip
    assert space.size == 2 * 2 * (2 * 2) ** 2 * 2 * (1 + 2)
    layers = {y.path: y for y in space.outline.layers(space.at(0))}
    assert {layers[p].precision.name for p in ("cells.0.mix", "mix", "trunk")} == {"w8a8"}


def test_a_picture_has_the_channels_of_the_one_that_is_read() -> None:
    """Whatever the data are called, and no classes."""
    space = from_text("data: {dataset: div2k}" + SMALL.replace("[3, 6, 5]", "[1, 6, 5]"))
    assert (space.outline.input_shape, space.outline.classes) == ((1, 6, 5), 1)
    digits = from_text(SMALL.replace("  input: [3, 6, 5]\n", ""))
    assert (digits.outline.input_shape, digits.outline.classes) == ((1, 8, 8), 1)
    with pytest.raises(SpecError, match=r"unknown key 'space\.model\.classes'"):
        from_text(SMALL.replace("  scale", "  classes: 3\n  scale"))


def test_the_tail_may_be_absent() -> None:
    space = spaces.load("quantnas_sr")
    a = dict(next(a for a in space.sample_many(50, generator(0, "test"), by_choice=True) if a["tail.depth"] == 0))
    assert not any(name.startswith("tail.0") for name in a)
    said = "choice tail.0.operation is absent here: it needs tail.depth in [1]"
    with pytest.raises(ValueError, match=re.escape(said)):
        space.architecture({**a, "tail.0.operation": "simple_3"})


@pytest.mark.parametrize(
    ("old", "new", "problems"),
    [
        (
            "upsample: {operation: simple_3}",
            "upsample: {operation: simple3}",
            ["10:25: unknown operation 'simple3' [unknown-name]"],
        ),
        (
            "skip: {operation: simple_1}",
            "skip: {depth: 3, operation: simple_1}",
            ["9:10: unknown key 'space.model.skip.depth' [unknown-key]"],
        ),
        ("  upsample: {operation: simple_3}\n", "", ["3:3: missing key 'space.model.upsample' [missing-key]"]),
        (
            "head: {depth: 1, operation: simple_3}",
            "head: {}",
            ["7:9: missing key 'space.model.head.operation' [missing-key]"],
        ),
        ("scale: 2", "scale: 0", ["5:10: 'space.model.scale' must be at least 1 and at most 16, not 0 [out-of-range]"]),
        ("body: {depth: 2", "body: {depth: [2]", ["8:17: 'space.model.body.depth' must be a whole number, not a list"]),
        (
            "skip: {operation: simple_1}",
            "skip: {operation: grouped3_3}",
            ["3:3: layer cells.0.skip.0.grouped3_3.0: 8 channels into 4 cannot be parted into 3 groups"],
        ),
    ],
)
def test_problems(old: str, new: str, problems: list[str]) -> None:
    with pytest.raises(SpecError, match=re.escape(problems[0])) as caught:
        from_text(SMALL.replace(old, new))
    found = [str(p).splitlines()[0].split(":", 1)[1] for p in caught.value.problems]
    assert len(found) == len(problems)
    assert all(f.startswith(p) for f, p in zip(found, problems, strict=True)), found
