"""Convolutions and linear layers, of floats or of integers."""

from __future__ import annotations

import torch
from torch import nn

from spaces import Layer
from supernets.export.writer import GraphWriter
from supernets.plain import Quantized, Simulated, TiedLinear
from supernets.plain.fresh import padding


def conv(writer: GraphWriter, layer: Layer, module: nn.Module | None, output: str) -> str:
    """Conv; integer ones become QLinearConv."""
    x = writer.read(layer.inputs[0], "picture")
    writer.node(
        "Conv", [x, *parameters(writer, layer, module)], output,
        kernel_shape=[layer.kernel] * 2, strides=[layer.stride] * 2, pads=[padding(layer)] * 4, group=layer.groups,
        dilations=[layer.dilation] * 2,
    )  # fmt: skip
    return "picture"


def linear(writer: GraphWriter, layer: Layer, module: nn.Module | None, output: str) -> str:
    """Over the features of each place."""
    x = writer.read(layer.inputs[0], "rows" if layer.h * layer.w > 1 else "vector")
    product(writer, layer, module, x, output)
    return "rows" if layer.h * layer.w > 1 else "vector"


def product(writer: GraphWriter, layer: Layer, module: nn.Module | None, x: str, output: str) -> None:
    """Gemm over rows; integer ones become QGemm, whose output may be of floats; MatMulNBits of weights in blocks."""
    if not isinstance(module, Simulated):
        writer.node("Gemm", [x, *parameters(writer, layer, module)], output, transB=1)
        return
    weight = layer.precision.weight
    assert weight is not None
    n, k = module.codes.shape
    scale = module.scale.reshape(n, -1) * module.factor[:, None]
    sign = torch.where(scale < 0, -1, 1)
    codes = module.codes * sign.repeat_interleave(weight.group, dim=1)
    inputs = [x, *writer.blocks(layer.path, codes.to(torch.int8).numpy(), (scale * sign).numpy(), weight.bits)]
    if module.bias is not None:
        inputs += ["", "", writer.constant(f"{layer.path}.bias", module.bias.numpy())]
    writer.node(
        "MatMulNBits", inputs, output, domain="com.microsoft", K=k, N=n, bits=weight.bits, block_size=weight.group,
        accuracy_level=4,
    )  # fmt: skip


def parameters(writer: GraphWriter, layer: Layer, module: nn.Module | None) -> list[str]:
    """Weight, and bias if there is one. Scales are positive in the file: where one is not, the codes change sign."""
    path = layer.path
    if isinstance(module, Quantized):
        sign = torch.where(module.scale < 0, -1, 1)
        scale, column = module.scale * sign, sign.reshape(-1, *[1] * (module.codes.dim() - 1))
        codes = (module.codes * column).to(torch.int8)
        weight = writer.weights(path, codes.numpy(), scale.numpy(), module.bits)
        steps = (module.bias * sign).to(torch.int32)
        return [weight, writer.bias(path, steps.numpy(), (scale * module.input_scale).numpy())]
    assert isinstance(module, nn.Conv1d | nn.Conv2d | nn.Conv3d | nn.Linear | TiedLinear)
    name = f"{layer.weight_of or path}.weight"
    name = f"{path}.weight" if name in writer.codes else name  # the first use of the layer is one of integers
    weights = writer.constant(name, module.weight.detach().numpy())
    if module.bias is None:
        return [weights]
    return [weights, writer.constant(f"{path}.bias", module.bias.detach().numpy())]
