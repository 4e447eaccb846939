"""Residual networks against their published counts, HAWQ's table of layers, and EQ-Net's space."""

from __future__ import annotations

import csv
import re
from pathlib import Path

import pytest

import spaces
from spaces import from_text
from spaces.randomness import generator
from spaces.yaml import SpecError
from tests.spaces.families.by_hand import Cost, conv, counted, linear

HAWQ = Path(__file__).resolve().parents[4] / "shared" / "data" / "hawq" / "resnet18_layers.csv"
RESNET = """\
model:
  family: resnet
  block: {block}
  input: [3, 224, 224]
  classes: 1000
  stem: {{width: 64, kernel: 7}}
  stages:
    - {{depth: {depths[0]}, width: {widths[0]}}}
    - {{depth: {depths[1]}, width: {widths[1]}, stride: 2}}
    - {{depth: {depths[2]}, width: {widths[2]}, stride: 2}}
    - {{depth: {depths[3]}, width: {widths[3]}, stride: 2}}
"""


def by_hand(basic: bool, depths: tuple[int, ...], widths: tuple[int, ...]) -> Cost:
    """A network on 224 pixels; the stride of a bottleneck is in its middle."""
    cost, c, size = conv(112**2, 3, 64, 7), 64, 56
    for stage, (depth, width) in enumerate(zip(depths, widths, strict=True)):
        for block in range(depth):
            after = size // 2 if block == 0 and stage > 0 else size
            if basic:
                cost += conv(after**2, c, width, 3) + conv(after**2, width, width, 3)
            else:
                inner = width // 4
                cost += conv(size**2, c, inner, 1) + conv(after**2, inner, inner, 3) + conv(after**2, inner, width, 1)
            if c != width:
                cost += conv(after**2, c, width, 1)
            c, size = width, after
    return cost + linear(1, c, 1000)


@pytest.mark.parametrize(
    ("block", "depths", "widths", "parameters", "macs"),
    [
        ("basic", (2, 2, 2, 2), (64, 128, 256, 512), 11_689_512, 1_814_073_344),
        ("bottleneck", (3, 4, 6, 3), (256, 512, 1024, 2048), 25_557_032, 4_089_184_256),
    ],
    ids=["resnet18", "resnet50"],
)
def test_published_networks_have_their_counts(
    block: str, depths: tuple[int, ...], widths: tuple[int, ...], parameters: int, macs: int
) -> None:
    """Of the reference implementations, where a batch norm has two parameters per channel; folded it has one."""
    space = from_text(RESNET.format(block=block, depths=depths, widths=widths))
    cost = by_hand(block == "basic", depths, widths)
    folded = sum(y.c_out for y in space.outline.layers(space.largest) if y.norm)
    assert counted(space) == cost
    assert (cost.parameters + folded, cost.macs) == (parameters, macs)


def test_its_layers_are_those_of_hawq() -> None:
    """Weights and MACs of the 19 between the first and the last."""
    if not HAWQ.exists():
        pytest.skip(f"the table {HAWQ.name} is not here")
    with HAWQ.open(encoding="utf-8", newline="") as file:
        published = [(int(row["parameters"]), int(row["macs"])) for row in csv.DictReader(file)]
    space = spaces.load("eqnet_resnet18")
    convs = [y for y in space.outline.layers(space.at(0)) if y.kind == "conv" and y.path != "stem.conv"]
    weights = [y.c_in * y.c_out * y.kernel**2 for y in convs]
    assert sorted(published) == sorted((w, w * y.out_h * y.out_w) for w, y in zip(weights, convs, strict=True))


def test_eqnet_fixes_first_and_last_layer_and_splits_the_rest() -> None:
    """19 layers, each with bits of weights and of inputs in 2 to 8; a granularity and two symmetries for all."""
    space = spaces.load("eqnet_resnet18")
    assert space.size == 7**38 * 8
    bits = [c.name for c in space.choices if c.name.endswith("bits")]
    assert len(bits) == 38
    assert not any(name.startswith(("stem", "classifier")) for name in bits)
    layers = {y.path: y for y in space.outline.layers(space.extreme(min, "float"))}
    assert layers["stem.conv"].precision.name == layers["classifier"].precision.name == "w8a8"
    assert layers["stages.3.1.conv2"].precision.name == "w2-tensor/a2-symmetric"


ELASTIC = """\
model:
  family: resnet
  block: bottleneck
  input: [3, 32, 32]
  classes: 10
  stem: {width: 16, stride: 1}
  stem_pool: false
  stages:
    - {depth: {choice: [1, 2]}, width: {choice: [32, 64]}, expand: {choice: [0.25, 0.5], per: block}, stride: 2}
"""


def test_depth_width_and_ratio_may_be_chosen() -> None:
    """Two widths, and two ratios for each block that is there: 2 x (2 + 4)."""
    space = from_text(ELASTIC)
    assert space.size == 12
    for a in space.enumerate():
        width, ratios = int(a["stages.0.width"]), [float(v) for name, v in a.items() if name.endswith("expand")]
        cost, c, size = conv(32**2, 3, 16, 3) + conv(16**2, 16, width, 1) + linear(1, width, 10), 16, 32
        for ratio in ratios:
            inner = int(width * ratio)
            cost += conv(size**2, c, inner, 1) + conv(16**2, inner, inner, 3) + conv(16**2, inner, width, 1)
            c, size = width, 16
        assert len(ratios) == a["stages.0.depth"]
        assert counted(space, a) == cost


def test_a_first_block_that_keeps_its_shape_adds_its_input() -> None:
    """One that changes it adds a 1x1 convolution of it."""
    space = from_text(RESNET.format(block="basic", depths=(1, 1, 1, 1), widths=(64, 128, 256, 512)))
    layers = {y.path: y for y in space.outline.layers(space.sample(generator(0, "test")))}
    assert layers["stages.0.0.add"].inputs == ("stages.0.0.conv2", "stem.pool")
    assert layers["stages.1.0.add"].inputs == ("stages.1.0.conv2", "stages.1.0.downsample")


@pytest.mark.parametrize(
    ("model", "problem"),
    [
        ("{family: resnet}", "1:8: missing key 'space.model.stages' [missing-key]"),
        ("{family: resnet, block: basik, stages: [{}]}",
         "1:32: unknown name 'basik' for 'space.model.block' [unknown-name]\n  hint: did you mean 'basic'?"),
        ("{family: resnet, stages: [{depth: {choice: [0, 1]}}]}",
         "1:52: depth must be a number from 1 to 1000, got 0 [out-of-range]"),
        ("{family: resnet, stages: [{expand: {choice: [0.5, big]}}]}", "1:58: expand must be a number [wrong-type]"),
        ("{family: resnet, stages: [{stride: 9}]}",
         "1:43: 'space.model.stages.0.stride' must be at least 1 and at most 4, not 9 [out-of-range]"),
    ],
)  # fmt: skip
def test_what_is_wrong_has_place_message_and_hint(model: str, problem: str) -> None:
    """Every message of the family."""
    message = f"space.yaml:{problem}\n1 problem; nothing was written"
    with pytest.raises(SpecError, match=rf"\A{re.escape(message)}\Z"):
        from_text(f"model: {model}\n")
