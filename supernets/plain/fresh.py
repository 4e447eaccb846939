"""A fresh plain layer of each kind that has parameters, from the resolved layer alone."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
from torch import nn

from spaces import Layer, QuantSpec
from supernets.plain.blocks import RMS_EPSILON, ClassToken, Position, TiedLinear
from supernets.plain.called import called_conv, called_norm, held, used_again
from supernets.plain.quantized import Grid, Quantized
from supernets.plain.simulated import Simulated
from supernets.quantization import ACTIVATION, ElasticQuantizer

Modules = Mapping[str, nn.Module]


def _conv(layer: Layer, folded: bool, others: Modules) -> nn.Module:
    normed = layer.norm and not folded
    if layer.call is not None:
        return used_again(layer, others) or called_conv(layer, normed)
    conv = nn.Conv2d(
        layer.c_in, layer.c_out, layer.kernel, layer.stride, padding(layer), layer.dilation, layer.groups,
        bias=(layer.bias or layer.norm) and not normed,
    )  # fmt: skip
    return nn.Sequential(conv, nn.BatchNorm2d(layer.c_out)) if normed else conv


def _linear(layer: Layer, folded: bool, others: Modules) -> nn.Module:
    again = used_again(layer, others)
    if again is not None:
        return again
    if layer.weight_of is not None and not isinstance(others[layer.weight_of], Quantized | Simulated):
        return TiedLinear(others[layer.weight_of], layer.bias)
    return nn.Linear(layer.c_in, layer.c_out, layer.bias)


def padding(layer: Layer) -> int:
    """Of a convolution, on each side; where the outline says none, what keeps ceil(size / stride) places."""
    return layer.dilation * (layer.kernel - 1) // 2 if layer.padding is None else layer.padding


def quantized(layer: Layer, weight: QuantSpec) -> Quantized:
    """An empty integer layer."""
    shape: tuple[int, ...] = (layer.c_out, layer.c_in // layer.groups, layer.kernel, layer.kernel)
    if layer.call is not None:
        shape = layer.call.sizes
    codes = torch.zeros(shape if layer.kind == "conv" else shape[:2])
    scale, one, spec = torch.ones(layer.c_out), torch.ones(()), layer.precision.input
    own = None if spec is None or spec.bits == ACTIVATION.bits else Grid(one, torch.zeros(()), spec)
    return Quantized(
        codes, scale, torch.zeros(layer.c_out), one, weight.bits, layer.stride, layer.path, padding(layer),
        layer.dilation, layer.groups, own, layer.call,
    )  # fmt: skip


def simulated(layer: Layer) -> Simulated:
    """An empty layer that computes in float what no integer kernel does."""
    shape = (layer.c_out, layer.c_in // layer.groups, layer.kernel, layer.kernel)[: 4 if layer.kind == "conv" else 2]
    if layer.call is not None:
        shape = layer.call.sizes
    weight, spec, given = torch.zeros(shape), layer.precision.weight, layer.precision.input
    codes = weight if spec is None else ElasticQuantizer("weight", [spec], shape).eval().codes(weight, spec)
    grid = None
    if given is not None and given.granularity == "tensor":
        grid = torch.ones(1), None if given.offset == "none" else torch.zeros(1)
    channels = torch.zeros(layer.c_out)
    biased = layer.bias or layer.norm
    return Simulated(layer, padding(layer), codes, channels + 1, channels if biased else None, grid)


FRESH: Mapping[str, Callable[[Layer, bool, Modules], nn.Module]] = {
    "batch_norm": lambda layer, folded, others: called_norm(layer),
    "class_token": lambda layer, folded, others: ClassToken(layer.c_in),
    "conv": _conv,
    "embedding": lambda layer, folded, others: nn.Embedding(layer.rows, layer.c_out),
    "linear": _linear,
    "norm": lambda layer, folded, others: nn.LayerNorm(layer.c_in),
    "parameter": lambda layer, folded, others: held(layer),
    "position": lambda layer, folded, others: Position(layer.h, layer.w, layer.c_in),
    "rms_norm": lambda layer, folded, others: nn.RMSNorm(layer.c_in, eps=RMS_EPSILON),
}
"""Kind -> module, from the layer, whether its norm is folded into it, and the modules before it by their paths."""


def fresh(layer: Layer, folded: bool, others: Modules) -> nn.Module:
    """A layer as torch starts it; one of codes holds zeros."""
    spec = layer.precision.weight
    if not layer.precision.quantized:
        return FRESH[layer.kind](layer, folded, others)
    return quantized(layer, spec) if spec is not None and layer.precision.integer else simulated(layer)
