"""Convolutions and linear layers, of floats or of integers."""

from __future__ import annotations

from torch import nn

from spaces import Layer
from supernets.export.writer import GraphWriter
from supernets.plain import Quantized, TiedLinear
from supernets.plain.fresh import padding


def conv(writer: GraphWriter, layer: Layer, module: nn.Module | None, output: str) -> str:
    """Conv; integer ones become QLinearConv."""
    x = writer.read(layer.inputs[0], "picture")
    writer.node(
        "Conv", [x, *_parameters(writer, layer, module)], output,
        kernel_shape=[layer.kernel] * 2, strides=[layer.stride] * 2, pads=[padding(layer)] * 4, group=layer.groups,
        dilations=[layer.dilation] * 2,
    )  # fmt: skip
    return "picture"


def linear(writer: GraphWriter, layer: Layer, module: nn.Module | None, output: str) -> str:
    """Gemm over the features of each place; integer ones become QGemm, whose output may be of floats."""
    x = writer.read(layer.inputs[0], "rows" if layer.h * layer.w > 1 else "vector")
    writer.node("Gemm", [x, *_parameters(writer, layer, module)], output, transB=1)
    return "rows" if layer.h * layer.w > 1 else "vector"


def _parameters(writer: GraphWriter, layer: Layer, module: nn.Module | None) -> list[str]:
    path = layer.path
    if isinstance(module, Quantized):
        scale = module.scale.numpy()
        weight = writer.weights(path, module.codes.numpy(), scale, module.bits)
        return [weight, writer.bias(path, module.bias.numpy(), (module.scale * module.input_scale).numpy())]
    assert isinstance(module, nn.Conv2d | nn.Linear | TiedLinear)
    weights = writer.constant(f"{layer.weight_of or path}.weight", module.weight.detach().numpy())
    if module.bias is None:
        return [weights]
    return [weights, writer.constant(f"{path}.bias", module.bias.detach().numpy())]
