"""Spaces of one operation per position, against published counts and counts by hand."""

from __future__ import annotations

import re

import pytest

import spaces
from spaces import Space, from_text
from spaces.randomness import generator
from spaces.yaml import SpecError
from tests.spaces.families.by_hand import Cost, conv, counted, linear


def published(space: Space, digits: str) -> tuple[int, int]:
    """(parameters with the two of a batch norm's channel, MACs) of a network."""
    a = space.parse(digits)
    cost = counted(space, a)
    return cost.parameters + sum(y.c_out for y in space.outline.layers(a) if y.norm), cost.macs


@pytest.mark.parametrize(("name", "size"), [("fbnet", 9**22), ("nas_bench_macro", 3**8), ("tangle_conv", 3**8)])
def test_sizes_are_those_published(name: str, size: int) -> None:
    """Every position keeps all its operations; and every drawn architecture has costs."""
    space = spaces.load(name)
    assert space.size == size
    batch = space.sample_many(20, generator(0, "test"))
    assert all((column > 0).all() for column in space.cost(batch).values())


@pytest.mark.parametrize(
    ("digits", "parameters", "macs"),
    [
        ("00000000", 387_882, 7_713_280),
        ("11111111", 1_588_874, 53_246_464),
        ("12012012", 2_014_602, 67_092_992),
        ("22222222", 2_932_586, 105_660_928),
    ],
)
def test_networks_of_nas_bench_macro_have_their_counts(digits: str, parameters: int, macs: int) -> None:
    """As its own table writes them."""
    assert published(spaces.load("nas_bench_macro"), digits) == (parameters, macs)


def test_fbnet_a_has_its_counts() -> None:
    """Published as 249 million MACs and 4.3 million parameters."""
    parameters, macs = published(spaces.load("fbnet"), "8208872427657356177677")
    assert (macs // 10**6, round(parameters / 1e6, 1)) == (249, 4.3)


LAYERS = [(16, 1)] + [
    (width, stride if first else 1)
    for width, stride, count in [(24, 2, 4), (32, 2, 4), (64, 2, 4), (112, 1, 4), (184, 2, 4), (352, 1, 1)]
    for first in [True] + [False] * (count - 1)
]
OPERATIONS = [(k, ratio, groups) for k in (3, 5) for ratio, groups in [(1, 1), (1, 2), (3, 1), (6, 1)]]


def fbnet(digits: str) -> Cost:
    """FBNet's network of these operations on 224 pixels; 8 leaves a position out, or changes the shape."""
    cost, c, size = conv(112**2, 3, 16, 3), 16, 112
    for digit, (width, stride) in zip(digits, LAYERS, strict=True):
        after = size // stride
        if digit != "8":
            kernel, ratio, groups = OPERATIONS[int(digit)]
            cost += conv(size**2, c, c * ratio, 1, groups) + conv(after**2, c * ratio, c * ratio, kernel, c * ratio)
            cost += conv(after**2, c * ratio, width, 1, groups)
        elif (width, stride) != (c, 1):
            cost += conv(after**2, c, width, 1)
        c, size = width, after
    return cost + conv(size**2, 352, 1504, 1) + linear(1, 1504, 1000)


def test_fbnets_cost_what_a_count_by_hand_says() -> None:
    """Drawn ones, and those of one operation everywhere."""
    space = spaces.load("fbnet")
    texts = [digit * 22 for digit in "012345678"]
    texts += [space.format(a) for a in space.sample_many(10, generator(0, "test"))]
    assert [counted(space, space.parse(text)) for text in texts] == [fbnet(text) for text in texts]


def test_tangle_conv_costs_what_a_count_by_hand_says() -> None:
    """Pools after the second and the third convolution; 9216 features before the four linear layers."""
    space = spaces.load("tangle_conv")
    for a in space.sample_many(10, generator(0, "test")):
        widths, kernels = ([int(v) for name, v in a.items() if name.endswith(key)] for key in ("out", "kernel"))
        cost, c = Cost(0, 0), 3
        for width, kernel, size in zip(widths, kernels, (32, 32, 16, 8), strict=True):
            cost, c = cost + conv(size**2, c, width, kernel), width
        cost += conv(6**2, c, 256, 7) + linear(1, 9216, 256) + linear(1, 256, 128) + linear(1, 128, 64)
        assert counted(space, a) == cost + linear(1, 64, 10)


def test_a_skip_that_must_change_the_shape_is_a_convolution() -> None:
    """And nothing at all where it must not."""
    space = spaces.load("nas_bench_macro")
    paths = [y.path for y in space.outline.layers(space.parse("00000000"))]
    assert [p for p in paths if p.startswith("layers")] == [f"layers.{i}.identity.project" for i in (0, 2, 5)]


def test_layers_of_operations_not_taken_are_absent_with_their_precisions() -> None:
    """So are their precisions; whoever reads the position reads the operation that is taken."""
    space = from_text(
        "model: {family: layerwise, input: [3, 8, 8], classes: 4, operations: {a: {}, b: {expand: 1}, c: {skip: true}},"
        " layers: [{}, {width: 24}]}\nprecision: {choice: [float, w8a8]}\n"
    )
    # the weighted layers of a, b, c, each with two precisions: first where the shape is kept, then where it changes
    assert space.size == (2**2 + 2**3 + 1) * (2**2 + 2**3 + 2) * 2**2
    for a in space.sample_many(20, generator(0, "test")):
        layers = {y.path: y for y in space.outline.layers(a)}
        weighted = {path for path, y in layers.items() if y.kind in ("conv", "linear")}
        assert {name.removesuffix(".precision") for name in a if name.endswith(".precision")} == weighted
        assert layers["pool"].c_in == 24


def test_a_position_with_one_operation_has_no_choice() -> None:
    """It is the operation."""
    space = from_text(
        "model: {family: layerwise, input: [3, 8, 8], classes: 4, operations: {a: {}, b: {kernel: 5}}, "
        "layers: [{operations: [b]}, {}]}"
    )
    assert [c.name for c in space.choices] == ["layers.1"]
    assert "layers.0.b.depthwise" in {y.path for y in space.outline.layers(space.at(0))}


@pytest.mark.parametrize(
    ("model", "problem"),
    [
        ("{family: layerwise, operations: {}, layers: [{}]}",
         "1:40: 'space.model.operations' must be a mapping from names to operations, at least one [wrong-type]"),
        ("{family: layerwise, operations: {a: {}}, layers: 3}",
         "1:57: layers must be a list of at least one [wrong-type]"),
        ("{family: layerwise, operations: {a: {kernal: 3}}, layers: [{}]}",
         "1:45: unknown key 'space.model.operations.a.kernal' [unknown-key]\n  hint: did you mean 'kernel'?"),
        ("{family: layerwise, operations: {a.b: {}}, layers: [{}]}",
         "1:41: a name must be a word without dots, not 'a.b' [wrong-name]"),
        ("{family: layerwise, operations: {a: {expand: 0}}, layers: [{}]}",
         "1:53: 'space.model.operations.a.expand' must be above 0 and at most 64, not 0 [out-of-range]"),
        ("{family: layerwise, operations: {a: {kernel: 4}}, layers: [{}]}",
         "1:53: kernel must be an odd number, got 4 [out-of-range]"),
        ("{family: layerwise, operations: {a: {}, b: {skip: true}}, layers: [{operations: [c]}]}",
         "1:89: unknown name 'c' for 'space.model.layers.0.operations.0' [unknown-name]\n  hint: known names: a, b"),
    ],
)  # fmt: skip
def test_what_is_wrong_has_place_message_and_hint(model: str, problem: str) -> None:
    """Every message of the family."""
    message = f"space.yaml:{problem}\n1 problem; nothing was written"
    with pytest.raises(SpecError, match=rf"\A{re.escape(message)}\Z"):
        from_text(f"model: {model}\n")


def test_groups_that_do_not_fit_are_named() -> None:
    """By the layer they part, and an architecture that has it."""
    text = "model: {family: layerwise, input: [3, 8, 8], classes: 4, operations: {a: {groups: 5}}, layers: [{}]}"
    with pytest.raises(SpecError, match=r"layer layers\.0\.a\.project: 16 channels into 16 cannot be parted into 5"):
        from_text(text)
