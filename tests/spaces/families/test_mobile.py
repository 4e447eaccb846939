"""Mobile and residual networks against their published counts, and the spaces of the zoo built from them."""

from __future__ import annotations

import re
from math import prod
from typing import Any

import pytest

import spaces
from spaces import Space, from_text
from spaces.randomness import generator
from spaces.yaml import SpecError

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


def counted(text: str) -> tuple[int, int]:
    """(parameters as they are published, MACs): those of a batch norm are two per channel, folded they are one."""
    space = from_text(text)
    cost = space.cost([space.largest])
    folded = sum(y.c_out for y in space.outline.layers(space.largest) if y.norm)
    return int(cost["parameters"][0]) + folded, int(cost["macs"][0])


@pytest.mark.parametrize(
    ("text", "parameters", "macs"),
    [
        (RESNET.format(block="basic", depths=(2, 2, 2, 2), widths=(64, 128, 256, 512)), 11_689_512, 1_814_073_344),
        (RESNET.format(block="bottleneck", depths=(3, 4, 6, 3), widths=(256, 512, 1024, 2048)), 25_557_032,
         4_089_184_256),
        (MOBILENET_V2, 3_504_872, 300_774_272),
        (MOBILENET_V3, 5_483_032, 216_589_760),
    ],
    ids=["resnet18", "resnet50", "mobilenet_v2", "mobilenet_v3_large"],
)  # fmt: skip
def test_published_networks_have_their_counts(text: str, parameters: int, macs: int) -> None:
    """Parameters of the reference implementations; MACs of their convolutions and linear layers at 224 pixels."""
    assert counted(text) == (parameters, macs)


def per_stage(space: Space) -> list[dict[str, Any]]:
    """Values of each stage's choices, for the sizes derived below."""
    stages: dict[str, dict[str, Any]] = {}
    for choice in space.choices:
        if choice.name.startswith("stages."):
            _, stage, key = choice.name.split(".")
            stages.setdefault(stage, {})[key] = choice.values
    return list(stages.values())


def test_ofa_has_its_size_and_its_choices() -> None:
    """Per stage 9^2 + 9^3 + 9^4, five stages, 25 resolutions."""
    space = spaces.load("ofa_mobilenetv3")
    assert space.size == 25 * (9**2 + 9**3 + 9**4) ** 5
    assert len(space.choices) == 1 + 5 + 2 * 20
    shallow = space.sample(generator(0, "test"))
    depth = {name: value for name, value in shallow.items() if name.endswith("depth")}
    for name, value in depth.items():
        blocks = {n.split(".")[2] for n in shallow if n.startswith(name.removesuffix("depth")) and n.endswith("kernel")}
        assert blocks == {str(i) for i in range(int(value))}


@pytest.mark.parametrize(("name", "others"), [("bignas", 4 * 2 * 2), ("attentivenas", 4 * 2 * 2)])
def test_sizes_are_products_over_stages(name: str, others: int) -> None:
    """Everything is chosen per stage: resolution, stem, head, and each stage's values multiplied."""
    space = spaces.load(name)
    assert space.size == others * prod(len(values) for stage in per_stage(space) for values in stage.values())
    written = {"bignas": 4 * 4 * 8 * 12 * 30 * 40 * 8, "attentivenas": 8 * 36 * 48 * 48 * 108 * 48 * 8}[name]
    assert space.size == others * written


@pytest.mark.parametrize(
    ("name", "size"),
    [("fbnet", 9**22), ("nas_bench_macro", 3**8), ("tangle_conv", 3**8), ("eqnet_resnet18", 7**38 * 8)],
)
def test_sizes_are_those_published(name: str, size: int) -> None:
    """And every drawn architecture has sound layers and costs."""
    space = spaces.load(name)
    assert space.size == size
    batch = space.sample_many(20, generator(0, "test"))
    assert all((column > 0).all() for column in space.cost(batch).values())


def test_eqnet_fixes_first_and_last_layer_and_splits_the_rest() -> None:
    """19 layers, each with bits of weights and of inputs."""
    space = spaces.load("eqnet_resnet18")
    bits = [c.name for c in space.choices if c.name.endswith("bits")]
    assert len(bits) == 38
    assert not any(name.startswith(("stem", "classifier")) for name in bits)
    layers = {y.path: y for y in space.outline.layers(space.extreme(min, "float"))}
    assert layers["stem.conv"].precision.name == layers["classifier"].precision.name == "w8a8"
    assert layers["stages.3.1.conv2"].precision.name == "w2a2"


def test_a_squeeze_may_be_chosen() -> None:
    """Where it is not taken its layers are absent and the product reads the depthwise convolution."""
    space = from_text(
        "model: {family: mobilenet, input: [3, 16, 16], classes: 4, stages: [{width: 16, expand: 3, "
        "squeeze: {choice: [true, false]}}]}"
    )
    kinds = [[y.kind for y in space.outline.layers(a)] for a in space.enumerate()]
    assert [kind.count("multiply") for kind in kinds] == [1, 0]


def test_an_expansion_of_one_has_no_expanding_layer() -> None:
    """Also where it is one of several."""
    space = from_text(
        "model: {family: mobilenet, input: [3, 16, 16], classes: 4, stages: [{width: 16, expand: {choice: [1, 3]}}]}"
    )
    layers = [[y.path for y in space.outline.layers(a)] for a in space.enumerate()]
    assert ["stages.0.0.expand" in paths for paths in layers] == [False, True]


def test_a_skip_that_must_change_the_shape_is_a_convolution() -> None:
    """And nothing at all where it must not."""
    space = spaces.load("nas_bench_macro")
    identity = space.parse("00000000")
    paths = [y.path for y in space.outline.layers(identity)]
    assert [p for p in paths if p.startswith("layers")] == [f"layers.{i}.identity.project" for i in (0, 2, 5)]


@pytest.mark.parametrize(
    ("model", "problem"),
    [
        ("{family: mobilenet, stages: []}", "1:36: stages must be a list of at least one [wrong-type]"),
        ("{family: mobilenet, stages: [{expand: 0}]}",
         "1:46: expand must be a number from 0.01 to 64, got 0 [out-of-range]"),
        ("{family: mobilenet, stages: [{squeeze: 1}]}", "1:47: must be true or false, not number 1 [wrong-type]"),
        ("{family: mobilenet, stages: [{activation: rleu}]}",
         "1:50: unknown name 'rleu' for 'space.model.stages.0.activation' [unknown-name]\n"
         "  hint: did you mean 'relu'?"),
        ("{family: mobilenet, stages: [{}], head: 3}",
         "1:48: 'space.model.head' must be a list of layers [wrong-type]"),
        ("{family: resnet, block: basik, stages: [{}]}",
         "1:32: unknown name 'basik' for 'space.model.block' [unknown-name]\n  hint: did you mean 'basic'?"),
        ("{family: layerwise, operations: {}, layers: [{}]}",
         "1:40: 'space.model.operations' must be a mapping from names to operations, at least one [wrong-type]"),
        ("{family: layerwise, operations: {a: {}, b: {skip: true}}, layers: [{operations: [c]}]}",
         "1:89: unknown name 'c' for 'space.model.layers.0.operations.0' [unknown-name]\n  hint: known names: a, b"),
    ],
)  # fmt: skip
def test_what_is_wrong_has_place_message_and_hint(model: str, problem: str) -> None:
    """Every message of the families."""
    message = f"space.yaml:{problem}\n1 problem; nothing was written"
    with pytest.raises(SpecError, match=rf"\A{re.escape(message)}\Z"):
        from_text(f"model: {model}\n")
