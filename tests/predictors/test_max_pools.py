"""Largest values of windows are taken of floats behind float layers, and of codes with channels last behind others.

ONNX Runtime's integer kernel for channels first takes ten times as long and more, and it comes by itself: the runtime
rounds before a pool what is rounded behind it.
"""

from __future__ import annotations

import onnx
import pytest
import torch
from torch import Tensor, nn

from predictors.latency import Target
from predictors.latency.backends.onnxruntime import optimised
from predictors.latency.called_probe import call_model
from predictors.latency.key import CallKey
from predictors.latency.profile import whole_network
from spaces import Architecture, Space
from spaces.call import Given
from supernets import wrap
from tests.examples import space_of

STEM = """\
model:
  family: resnet
  input: [3, 32, 32]
  classes: 10
  stem: {width: 16, kernel: 7, stride: 2}
  stem_pool: true
  stages: [{depth: 1, width: 16}]
precision: {choice: [float, w8a8], per: layer}
"""


class Pooled(nn.Module):
    """Two convolutions, and a pool between them."""

    def __init__(self) -> None:
        super().__init__()
        self.one, self.two = nn.Conv2d(3, 16, 3), nn.Conv2d(16, 16, 3)
        self.last = nn.Linear(16, 4)

    def forward(self, x: Tensor) -> Tensor:
        y = nn.functional.max_pool2d(torch.relu(self.one(x)), 3, 2)
        found: Tensor = self.last(torch.relu(self.two(y)).mean((2, 3)))
        return found


def first_float(space: Space) -> Architecture:
    """The largest network, with the first layer in float and all others in 8 bits."""
    largest = space.extreme(max, "w8a8")
    name = next(c.name for c in space.choices if c.name.endswith("precision"))
    return Architecture({**largest, name: "float"})


def reads(model: bytes) -> list[str]:
    """What makes the input of each MaxPool, of the model as it runs."""
    graph: onnx.GraphProto = optimised(model).graph
    makers = {output: node.op_type for node in graph.node for output in node.output}
    return [makers[node.input[0]] for node in graph.node if node.op_type == "MaxPool"]


@pytest.mark.parametrize("wrapped", [False, True])
def test_behind_a_float_layer_nothing_is_rounded_before_a_pool(wrapped: bool) -> None:
    """Though an integer layer reads what it gives."""
    space = wrap(Pooled(), (torch.zeros(1, 3, 32, 32),)).space if wrapped else space_of(STEM)
    model = whole_network(space, first_float(space), Target())
    assert "QLinearConv" in {node.op_type for node in optimised(model).graph.node}
    assert reads(model) == ["Conv"]


@pytest.mark.parametrize("target", ["u8", "f32"])
def test_of_codes_a_pool_is_timed_with_channels_last(target: str) -> None:
    """As the runtime runs it behind an integer convolution."""
    call = "aten.max_pool2d.default"
    key = CallKey("call", call, (Given(0), (3, 3), (2, 2), (1, 1)), (), (("u8", (1, 8, 9, 9)),), (), "", target, "none")
    ops = {node.op_type for node in optimised(call_model(key)).graph.node}
    assert "NhwcMaxPool" in ops
    assert "MaxPool" not in ops
