"""Mobile networks against their published counts and against a count by hand, and the zoo built from them."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from math import prod
from typing import Any, NamedTuple

import pytest

import spaces
from spaces import Architecture, Space, from_text
from spaces.randomness import generator
from spaces.yaml import SpecError
from tests.spaces.families.by_hand import Cost, conv, counted, linear

MOBILENET_V2 = """\
model:
  family: mobilenet
  input: [3, 224, 224]
  classes: 1000
  stem: {width: 32, activation: relu6}
  stages:
    - {width: 16}
    - {width: 24, depth: 2, stride: 2, expand: 6}
    - {width: 32, depth: 3, stride: 2, expand: 6}
    - {width: 64, depth: 4, stride: 2, expand: 6}
    - {width: 96, depth: 3, expand: 6}
    - {width: 160, depth: 3, stride: 2, expand: 6}
    - {width: 320, expand: 6}
  head: [{width: 1280}]
"""
MOBILENET_V3 = """\
model:
  family: mobilenet
  input: [3, 224, 224]
  classes: 1000
  stem: {width: 16, activation: hard_swish}
  stages:
    - {width: 16}
    - {width: 24, stride: 2, expand: 4}
    - {width: 24, expand: 3}
    - {width: 40, stride: 2, expand: 3, kernel: 5, squeeze: true}
    - {width: 40, depth: 2, expand: 3, kernel: 5, squeeze: true}
    - {width: 80, stride: 2, expand: 6, activation: hard_swish}
    - {width: 80, expand: 2.5, activation: hard_swish}
    - {width: 80, depth: 2, expand: 2.3, activation: hard_swish}
    - {width: 112, depth: 2, expand: 6, squeeze: true, activation: hard_swish}
    - {width: 160, depth: 3, stride: 2, expand: 6, kernel: 5, squeeze: true, activation: hard_swish}
  head: [{width: 960, activation: hard_swish}, {width: 1280, activation: hard_swish, pooled: true}]
"""


# --- By hand ----------------------------------------------------------------------------------------------------------


class Stage(NamedTuple):
    """One stage; kernels and ratios are those of its blocks, a ratio of 1 expands nothing."""

    width: int
    kernels: Sequence[int]
    ratios: Sequence[float]
    stride: int = 1
    squeeze: bool = False
    shortcut: bool = False


def eight(channels: float) -> int:
    """Rounded to a multiple of 8, half up, and one more where that is less than nine tenths."""
    found = max(8, int(channels + 4) // 8 * 8)
    return found + 8 if found < 0.9 * channels else found


def block(c: int, size: int, stage: Stage, at: int) -> tuple[Cost, int]:
    """One inverted residual block on c x size x size, and the size after it."""
    stride = stage.stride if at == 0 else 1
    after = -(-size // stride)
    hidden = c if stage.ratios[at] == 1 else eight(c * stage.ratios[at])
    cost = Cost(0, 0) if stage.ratios[at] == 1 else conv(size**2, c, hidden, 1)
    cost += conv(after**2, hidden, hidden, stage.kernels[at], groups=hidden)
    if stage.squeeze:
        cost += conv(1, hidden, eight(hidden / 4), 1) + conv(1, eight(hidden / 4), hidden, 1)
    if stage.shortcut and c != stage.width:
        cost += Cost(c * stage.width, after**2 * c * stage.width)  # neither bias nor norm
    return cost + conv(after**2, hidden, stage.width, 1), after


def trunk(resolution: int, stem: int, stages: Sequence[Stage]) -> tuple[Cost, int]:
    """A stem of stride 2 and stages of blocks, and the size after them."""
    size = -(-resolution // 2)
    cost, c = conv(size**2, 3, stem, 3), stem
    for stage in stages:
        for at in range(len(stage.kernels)):
            more, size = block(c, size, stage, at)
            cost, c = cost + more, stage.width
    return cost, size


def small_head(places: int, c: int, wide: int, last: int, mixed_bias: bool = True) -> Cost:
    """1x1 convolution, pool, 1x1 convolution, and a classifier of 1000."""
    return conv(places, c, wide, 1) + Cost(wide * last + last * mixed_bias, wide * last) + linear(1, last, 1000)


def ofa(a: Mapping[str, Any]) -> Cost:
    """Once-for-all's network of these choices."""
    stages = [Stage(16, [3], [1])]
    for n, (width, stride, squeeze) in enumerate(
        [(24, 2, False), (40, 2, True), (80, 2, False), (112, 1, True), (160, 2, True)], 1
    ):
        blocks = range(a[f"stages.{n}.depth"])
        kernels, ratios = ([a[f"stages.{n}.{b}.{key}"] for b in blocks] for key in ("kernel", "expand"))
        stages.append(Stage(width, kernels, ratios, stride, squeeze))
    cost, size = trunk(a["resolution"], 16, stages)
    return cost + small_head(size**2, 160, 960, 1280, mixed_bias=False)


def per_stage(a: Mapping[str, Any], ratios: Sequence[int], strides: Sequence[int], squeezed: str) -> list[Stage]:
    """Stages of BigNAS and AttentiveNAS; of these the squeezed ones are marked by an s."""
    found = []
    for n, (ratio, stride, mark) in enumerate(zip(ratios, strides, squeezed, strict=True)):
        depth, kernel = a[f"stages.{n}.depth"], a.get(f"stages.{n}.kernel", 3)
        ratio = a.get(f"stages.{n}.expand", ratio)
        found.append(Stage(a[f"stages.{n}.width"], [kernel] * depth, [ratio] * depth, stride, mark == "s", True))
    return found


def bignas(a: Mapping[str, Any]) -> Cost:
    """BigNAS's network of these choices."""
    stages = per_stage(a, [1, 6, 6, 6, 6, 6, 6], [1, 2, 2, 2, 1, 2, 1], "sssssss")
    cost, size = trunk(a["resolution"], a["stem.width"], stages)
    return cost + conv(size**2, stages[-1].width, a["head.0.width"], 1) + linear(1, a["head.0.width"], 1000)


def attentivenas(a: Mapping[str, Any]) -> Cost:
    """AttentiveNAS's network of these choices."""
    stages = per_stage(a, [1, 0, 0, 0, 0, 6, 6], [1, 2, 2, 2, 1, 2, 1], "--s-sss")
    cost, size = trunk(a["resolution"], a["stem.width"], stages)
    last = stages[-1].width
    return cost + small_head(size**2, last, 6 * last, a["head.1.width"], mixed_bias=False)


@pytest.mark.parametrize(
    ("name", "by_hand"), [("ofa_mobilenetv3", ofa), ("bignas", bignas), ("attentivenas", attentivenas)]
)
def test_every_network_of_the_zoo_costs_what_a_count_by_hand_says(name: str, by_hand: Any) -> None:
    """Parameters and MACs of the smallest, the largest and drawn ones."""
    space = spaces.load(name)
    drawn: list[Architecture] = [space.extreme(min, "float"), space.largest]
    drawn += space.sample_many(10, generator(0, "test"), by_choice=True)
    assert [counted(space, a) for a in drawn] == [by_hand(a) for a in drawn]


# --- Published --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "by_hand", "parameters", "macs"),
    [
        (
            MOBILENET_V2,
            trunk(224, 32, [
                Stage(16, [3], [1]), Stage(24, [3] * 2, [6] * 2, 2), Stage(32, [3] * 3, [6] * 3, 2),
                Stage(64, [3] * 4, [6] * 4, 2), Stage(96, [3] * 3, [6] * 3), Stage(160, [3] * 3, [6] * 3, 2),
                Stage(320, [3], [6]),
            ])[0] + conv(49, 320, 1280, 1) + linear(1, 1280, 1000),
            3_504_872, 300_774_272,
        ),
        (
            MOBILENET_V3,
            trunk(224, 16, [
                Stage(16, [3], [1]), Stage(24, [3], [4], 2), Stage(24, [3], [3]), Stage(40, [5], [3], 2, True),
                Stage(40, [5] * 2, [3] * 2, 1, True), Stage(80, [3], [6], 2), Stage(80, [3], [2.5]),
                Stage(80, [3] * 2, [2.3] * 2), Stage(112, [3] * 2, [6] * 2, 1, True),
                Stage(160, [5] * 3, [6] * 3, 2, True),
            ])[0] + small_head(49, 160, 960, 1280),
            5_483_032, 216_589_760,
        ),
    ],
    ids=["mobilenet_v2", "mobilenet_v3_large"],
)  # fmt: skip
def test_published_networks_have_their_counts(text: str, by_hand: Cost, parameters: int, macs: int) -> None:
    """Of the reference implementations, where a batch norm has two parameters per channel; folded it has one."""
    space = from_text(text)
    folded = sum(y.c_out for y in space.outline.layers(space.largest) if y.norm)
    assert counted(space) == by_hand
    assert (by_hand.parameters + folded, by_hand.macs) == (parameters, macs)


def test_the_smallest_of_attentivenas_is_its_a0() -> None:
    """Published as 203 million MACs."""
    space = spaces.load("attentivenas")
    assert round(counted(space, space.extreme(min, "float")).macs / 1e6) == 203


# --- Sizes ------------------------------------------------------------------------------------------------------------


def test_ofa_has_its_size_and_its_choices() -> None:
    """Per stage 9^2 + 9^3 + 9^4, five stages, 25 resolutions; choices of blocks beyond the depth are absent."""
    space = spaces.load("ofa_mobilenetv3")
    assert space.size == 25 * (9**2 + 9**3 + 9**4) ** 5
    assert len(space.choices) == 1 + 5 + 2 * 20
    for a in space.sample_many(20, generator(0, "test"), by_choice=True):
        for stage in range(1, 6):
            for key in ("kernel", "expand"):
                blocks = [b for b in range(4) if f"stages.{stage}.{b}.{key}" in a]
                assert blocks == list(range(int(a[f"stages.{stage}.depth"])))


@pytest.mark.parametrize(
    ("name", "size"),
    [
        # resolutions, stems, heads, and per stage depths x widths x kernels
        ("bignas", 4 * 2 * 2 * prod([2 * 2, 2 * 2, 2 * 2 * 2, 3 * 2 * 2, 5 * 3 * 2, 5 * 4 * 2, 2 * 2 * 2])),
        # and ratios
        ("attentivenas", 4 * 2 * 2 * prod([2 * 2 * 2, 3 * 2 * 2 * 3, 4 * 2 * 2 * 3, 4 * 2 * 2 * 3, 6 * 3 * 2 * 3,
                                           6 * 4 * 2, 2 * 2 * 2])),
    ],
)  # fmt: skip
def test_sizes_are_products_over_stages(name: str, size: int) -> None:
    """Everything is chosen per stage: nothing is ever absent."""
    assert spaces.load(name).size == size


# --- Blocks -----------------------------------------------------------------------------------------------------------


def small(stages: str, more: str = "", after: str = "") -> Space:
    """A network of these stages on 16 x 16 pictures."""
    text = f"model: {{family: mobilenet, input: [3, 16, 16], classes: 4, {more}stages: [{stages}]}}\n"
    return from_text(text + after)


def present(space: Space, a: Architecture, inside: str) -> list[str]:
    """Last names of the layers of one place."""
    return [y.path.removeprefix(f"{inside}.") for y in space.outline.layers(a) if y.path.startswith(f"{inside}.")]


def test_a_squeeze_may_be_chosen() -> None:
    """Where it is not taken its layers are absent and the projection reads the depthwise convolution."""
    space = small("{width: 16, expand: 3, squeeze: {choice: [true, false]}}")
    kinds = [[y.kind for y in space.outline.layers(a)] for a in space.enumerate()]
    assert [kind.count("multiply") for kind in kinds] == [1, 0]
    project = next(y for y in space.outline.layers(space.at(1)) if y.path.endswith("project"))
    assert project.inputs == ("stages.0.0.depthwise",)


def test_an_expansion_of_one_has_no_expanding_layer() -> None:
    """Also where it is one of several."""
    space = small("{width: 16, expand: {choice: [1, 3]}}")
    assert ["expand" in present(space, a, "stages.0.0") for a in space.enumerate()] == [False, True]


@pytest.mark.parametrize(
    ("stage", "by_hand"),
    [
        ("{width: 24, expand: 3, kernel: 5, block: fused}", conv(64, 16, 48, 5) + conv(64, 48, 24, 1)),
        ("{width: 24, block: fused}", conv(64, 16, 24, 3)),
        ("{width: 24, stride: 2, expand: 2, block: dense}",
         conv(64, 16, 32, 1) + conv(16, 32, 32, 3) + conv(16, 32, 24, 1)),
        ("{width: 24, expand: 2, block: fused, squeeze: true}",
         conv(64, 16, 32, 3) + conv(1, 32, 8, 1) + conv(1, 8, 32, 1) + conv(64, 32, 24, 1)),
    ],
)  # fmt: skip
def test_kinds_of_blocks_cost_what_a_count_by_hand_says(stage: str, by_hand: Cost) -> None:
    """After a stem of stride 2 on 16 x 16 pictures."""
    assert counted(small(stage)) == conv(64, 3, 16, 3) + by_hand + linear(1, 24, 4)


def test_a_kind_of_block_may_be_chosen() -> None:
    """Its layers stand in a place of its name; the others are absent, and the sum reads the chosen one's end."""
    space = small("{width: 16, expand: 2, block: {choice: [inverted, fused, dense]}}")
    ends = []
    for a in space.enumerate():
        layers = space.outline.layers(a)
        kind = a["stages.0.block"]
        inside = [y.path for y in layers if y.path.startswith("stages.0.0.") and not y.path.endswith("add")]
        assert all(path.startswith(f"stages.0.0.{kind}.") for path in inside)
        ends += [y.inputs for y in layers if y.kind == "add"]
        assert layers[1].inputs == ("stem.conv",)
    assert ends == [(f"stages.0.0.{kind}.project", "stem.conv") for kind in ("inverted", "fused", "dense")]


def test_an_activation_function_may_be_chosen() -> None:
    """By block: it is that of its convolutions but the last, costs nothing and changes no weight's shape."""
    space = small("{depth: 2, width: 16, expand: 2, activation: {choice: [relu, hard_swish], per: block}}")
    assert [c.name for c in space.choices] == ["stages.0.0.activation", "stages.0.1.activation"]
    for a in space.enumerate():
        found = {y.path: y.activation for y in space.outline.layers(a) if y.path.startswith("stages.0.")}
        for block in (0, 1):
            inside = [found[f"stages.0.{block}.{part}"] for part in ("expand", "depthwise", "project")]
            assert inside == [*2 * [a[f"stages.0.{block}.activation"]], "none"]
    costs = space.cost(list(space.enumerate()))
    assert all(len(set(column.tolist())) == 1 for column in costs.values())


def test_an_activation_function_that_integer_kernels_do_not_take_along_is_stored_otherwise() -> None:
    """A ReLU is part of the kernel, which writes 8 bits; others are computed with floats, from sums in 8 bits."""
    space = small("{width: 16, expand: 2, activation: {choice: [relu, hard_swish]}}", after="precision: w8a8\n")
    for a in space.enumerate():
        layer = next(y for y in space.outline.layers(a) if y.path == "stages.0.0.depthwise")
        assert layer.sums8 == (a["stages.0.activation"] == "hard_swish")


def test_a_stage_shares_its_width_and_its_first_block_adds_nothing() -> None:
    """Unless it keeps both, for which its width must be that of the stage before."""
    space = small("{width: {choice: [8, 16]}, depth: 2}, {width: {tie: stages.0.width}, depth: 2}")
    adds = [y.path for y in space.outline.layers(space.largest) if y.kind == "add"]
    assert adds == ["stages.0.1.add", "stages.1.0.add", "stages.1.1.add"]
    assert [c.name for c in space.choices] == ["stages.0.width"]


def test_a_shortcut_is_projected_exactly_where_the_widths_differ() -> None:
    """Whichever of two choices make them differ; with a precision for each layer that is there, and for no other."""
    space = from_text(
        "model: {family: mobilenet, input: [3, 16, 16], classes: 4, stem: {width: {choice: [8, 16, 24]}}, stages: "
        "[{width: {choice: [16, 24, 32]}, shortcut: true}]}\nprecision: {choice: [float, w8a8]}\n"
    )
    for a in space.sample_many(60, generator(0, "test"), by_choice=True):
        layers = {y.path: y for y in space.outline.layers(a)}
        found = [y for path, y in layers.items() if ".shortcut." in path]
        given, wanted = a["stem.width"], a["stages.0.width"]
        assert [(y.c_in, y.c_out) for y in found] == ([] if given == wanted else [(given, wanted)])
        weighted = {path for path, y in layers.items() if y.kind in ("conv", "linear")}
        assert {name.removesuffix(".precision") for name in a if name.endswith(".precision")} == weighted


@pytest.mark.parametrize(
    ("stage", "layers"),
    [
        ("{width: 16, shortcut: true}", []),
        ("{width: 16, stride: 2, shortcut: true}", ["pool"]),
        ("{width: 24, stride: 2, shortcut: true}", ["pool", "conv"]),
        ("{width: {choice: [24, 32]}, stride: 2, shortcut: true}", ["pool", "conv"]),
        ("{depth: {choice: [1, 2]}, width: {choice: [16], when: {depth: 2}, else: 16}, shortcut: true}", ["conv"]),
    ],
)
def test_a_shortcut_has_what_the_change_needs(stage: str, layers: list[str]) -> None:
    """A mean over the stride, a convolution for the channels; a width that may be absent always has one."""
    space = small(stage)
    assert present(space, space.largest, "stages.0.0.shortcut") == layers
    assert "add" in present(space, space.largest, "stages.0.0")


@pytest.mark.parametrize(
    ("model", "problem"),
    [
        ("{family: mobilenet}", "1:8: missing key 'space.model.stages' [missing-key]"),
        ("{family: mobilenet, stages: []}", "1:36: stages must be a list of at least one [wrong-type]"),
        ("{family: mobilenet, stages: [{expand: 0}]}",
         "1:46: expand must be a number from 0.01 to 64, got 0 [out-of-range]"),
        ("{family: mobilenet, stages: [{expand: wide}]}", "1:46: expand must be a number [wrong-type]"),
        ("{family: mobilenet, stages: [{kernel: {choice: [3, 4]}}]}",
         "1:59: kernel must be an odd number from 1 to 99, got 4 [out-of-range]"),
        ("{family: mobilenet, stages: [{depth: 0}]}",
         "1:45: depth must be a number from 1 to 1000, got 0 [out-of-range]"),
        ("{family: mobilenet, stages: [{width: 0}]}",
         "1:45: width must be a number from 1 to 65536, got 0 [out-of-range]"),
        ("{family: mobilenet, stages: [{block: fuesd}]}",
         "1:45: unknown block 'fuesd' [unknown-name]\n  hint: did you mean 'fused'?"),
        ("{family: mobilenet, stages: [{squeeze: 1}]}", "1:47: must be true or false, not number 1 [wrong-type]"),
        ("{family: mobilenet, stages: [{activation: rleu}]}",
         "1:50: unknown activation 'rleu' [unknown-name]\n  hint: did you mean 'relu'?"),
        ("{family: mobilenet, stages: [{expnad: 3}]}",
         "1:38: unknown key 'space.model.stages.0.expnad' [unknown-key]\n  hint: did you mean 'expand'?"),
        ("{family: mobilenet, stages: [{width: {choice: [8, 16], per: block}}]}",
         "1:45: width is in no block [wrong-scope]\n  hint: it can be chosen per network, stage"),
        ("{family: mobilenet, stages: [{}], head: 3}",
         "1:48: 'space.model.head' must be a list of layers [wrong-type]"),
    ],
)  # fmt: skip
def test_what_is_wrong_has_place_message_and_hint(model: str, problem: str) -> None:
    """Every message of the family."""
    message = f"space.yaml:{problem}\n1 problem; nothing was written"
    with pytest.raises(SpecError, match=rf"\A{re.escape(message)}\Z"):
        from_text(f"model: {model}\n")
