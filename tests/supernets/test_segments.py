"""What follows a concatenation: each input has a segment of the largest tensor, and a prefix of it is active."""

from __future__ import annotations

import torch
from torch.testing import assert_close

from spaces import Layer
from spaces.randomness import generator
from supernets import Supernet, build, extract
from tests.examples import space_of
from tests.subnets import images, randomised

SPLIT = """
model:
  family: graph
  input: [2, 6, 6]
  classes: 3
  layers:
    - split:
        merge: concat
        branches:
          a: [conv: {out: {choice: [2, 4]}}]
          b: [conv: {out: {choice: [3, 5]}}]
    - depthwise: {kernel: 3}
    - conv: {out: {choice: [4, 6]}, kernel: 1}
    - optional: [conv: {out: 4, kernel: 3, stride: 2}]
    - flatten
    - linear: 3
"""


def parts(net: Supernet, a: int, b: int, out: int, halved: bool) -> dict[str, Layer]:
    """Layers by their paths."""
    values = {"layers.0.a.0.out": a, "layers.0.b.0.out": b, "layers.2.out": out, "layers.3": halved}
    return {y.path: y for y in net.layers(net.space.architecture(values))}


def test_a_reader_takes_a_prefix_of_each_segment() -> None:
    net = build(space_of(SPLIT))
    layers = parts(net, 2, 3, 4, True)
    depthwise, conv = layers["layers.1"], layers["layers.2"]
    assert depthwise.channels == conv.channels == ((0, 2), (4, 7))
    whole = net.weighted("layers.2").weight
    assert_close(net.weighted("layers.2").active(conv), torch.cat([whole[:4, :2], whole[:4, 4:7]], dim=1))
    whole = net.weighted("layers.1").weight
    assert_close(net.weighted("layers.1").active(depthwise), torch.cat([whole[:2], whole[4:7]]))
    assert layers["layers.0.a.0"].channels is None


def test_segments_that_touch_are_one_and_a_prefix_needs_none() -> None:
    net = build(space_of(SPLIT))
    assert parts(net, 4, 3, 6, True)["layers.2"].channels is None
    assert parts(net, 4, 5, 6, True)["layers.1"].channels is None


def test_of_fewer_places_a_flattened_tensor_keeps_the_first_rows_and_columns() -> None:
    """The largest has 6 channels of 6x6 places; halved there are 4 of 3x3."""
    net = build(space_of(SPLIT))
    layer = parts(net, 4, 5, 4, True)["layers.5"]
    whole = net.weighted("layers.5").weight
    assert whole.shape == (3, 6 * 36)
    expected = whole.reshape(3, 6, 6, 6)[:, :4, :3, :3].flatten(1)
    assert_close(net.weighted("layers.5").active(layer), expected)
    assert parts(net, 4, 5, 4, False)["layers.5"].channels is None  # 4 channels of all places: the first columns


def test_a_subnet_is_the_largest_one_without_its_other_channels() -> None:
    """With the weights that make them zero, the largest network computes the subnet: channels keep their places."""
    text = SPLIT.replace("    - optional: [conv: {out: 4, kernel: 3, stride: 2}]\n", "").replace(
        "kernel: 3}", "norm: false}"
    )
    text = text.replace("conv: {", "conv: {norm: false, ")
    net = randomised(space_of(text))
    x = images(net.space, 4)
    small = net.space.architecture({"layers.0.a.0.out": 2, "layers.0.b.0.out": 3, "layers.2.out": 4})
    with torch.no_grad():
        with net.active(small):
            expected = net(x)
        for path, c in (("layers.0.a.0", 2), ("layers.0.b.0", 3), ("layers.2", 4)):
            layer = net.weighted(path)
            layer.weight[c:] = 0
            assert layer.bias is not None
            layer.bias[c:] = 0
        depthwise = net.weighted("layers.1").bias
        assert depthwise is not None
        depthwise[2:4] = depthwise[7:] = 0
        with net.active(net.space.largest):
            assert_close(net(x), expected)


def test_extraction_copies_the_same_segments() -> None:
    net = randomised(space_of(SPLIT)).double()
    x = images(net.space, 8).double()
    for architecture in net.space.sample_many(12, generator(0, "test"), by_choice=True):
        calibration = net.calibrate(architecture, [x])
        with torch.no_grad(), net.active(architecture, calibration):
            assert_close(extract(net, architecture, calibration)(x), net(x), rtol=1e-9, atol=1e-9)
