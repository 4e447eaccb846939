"""Layers with weights: they hold the largest form and compute with the slice that a resolved layer names."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from spaces import Layer
from supernets.elastic.batch_norm import ElasticBatchNorm, Moments
from supernets.elastic.slices import conv_slice, linear_slice
from supernets.quantization import quantize_weight


class ElasticConv(nn.Module):
    """Convolution elastic in width, kernel and weight precision, with an optional batch norm.

    Shapes: ``x`` (b, c_in, h, w) to (b, c_out, ceil(h / stride), ceil(w / stride)). With ``norm`` it has no bias of its
    own. Which slice is active is no state of the layer: it comes with every call.
    """

    def __init__(self, c_in: int, c_out: int, kernel: int, norm: bool) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(c_out, c_in, kernel, kernel))
        nn.init.kaiming_normal_(self.weight, mode="fan_out", nonlinearity="relu")
        self.norm = ElasticBatchNorm(c_out) if norm else None
        self.bias = None if norm else nn.Parameter(torch.zeros(c_out))

    def active(self, layer: Layer) -> Tensor:
        """The float weight slice (c_out, c_in, k, k) of this layer."""
        return conv_slice(self.weight, layer.c_out, layer.c_in, layer.kernel)

    def convolve(self, x: Tensor, layer: Layer) -> Tensor:
        """The convolution alone, before the norm."""
        weight = self.active(layer)
        if layer.precision.weight is not None:
            weight = quantize_weight(weight, layer.precision.weight)
        bias = None if self.bias is None else self.bias[: layer.c_out]
        return F.conv2d(x, weight, bias, stride=layer.stride, padding=layer.kernel // 2)

    def folded(self, layer: Layer, moments: Moments | None) -> tuple[Tensor, Tensor]:
        """(factor (c_out,), bias (c_out,)) of ``factor * conv(x) + bias``, norm and bias folded."""
        if self.norm is not None and moments is not None:
            return self.norm.fold(moments)
        assert self.bias is not None, "a layer with a norm is folded with its moments"
        return torch.ones(layer.c_out), self.bias[: layer.c_out]


class ElasticLinear(nn.Module):
    """Linear layer elastic in its widths and weight precision. Shapes: ``x`` (b, d_in) to (b, d_out)."""

    def __init__(self, d_in: int, d_out: int) -> None:
        super().__init__()
        bound = 1 / math.sqrt(d_in)
        self.weight = nn.Parameter(torch.empty(d_out, d_in).uniform_(-bound, bound))
        self.bias = nn.Parameter(torch.zeros(d_out))

    def active(self, layer: Layer) -> Tensor:
        """The float weight slice (d_out, d_in) of this layer."""
        return linear_slice(self.weight, layer.c_out, layer.c_in)

    def forward(self, x: Tensor, layer: Layer) -> Tensor:
        """The active slice applied to ``x``."""
        weight = self.active(layer)
        if layer.precision.weight is not None:
            weight = quantize_weight(weight, layer.precision.weight)
        return F.linear(x, weight, self.bias[: layer.c_out])

    def folded(self, layer: Layer, moments: Moments | None) -> tuple[Tensor, Tensor]:
        """(factor (d_out,), bias (d_out,)); there is no norm to fold."""
        return torch.ones(layer.c_out), self.bias[: layer.c_out]
