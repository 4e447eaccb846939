"""Quantization of tensors: integer codes, and the same values as floats with a straight-through gradient."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from spaces import QuantSpec
from supernets.quantization.scales import activation_grid, weight_scale

ACTIVATION = QuantSpec(8, signed=False, granularity="tensor")
"""How a tensor between layers is stored wherever it is stored as integers."""


class _StraightThrough(torch.autograd.Function):
    """Value of ``quantized``, gradient to ``x`` as if it were the identity; saves nothing for backward."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, quantized: Tensor) -> Tensor:
        return quantized

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        return gradient, None


def straight_through(x: Tensor, quantized: Tensor) -> Tensor:
    """``quantized`` going forward, identity to ``x`` going back (Bengio et al. 2013, section 4)."""
    return _StraightThrough.apply(x, quantized)  # type: ignore[no-untyped-call, no-any-return]


def weight_codes(weight: Tensor, spec: QuantSpec) -> tuple[Tensor, Tensor]:
    """(integer codes as floats, same shape as ``weight``; scale (c_out,)). The one definition of a weight's codes."""
    scale = weight_scale(weight, spec)
    column = scale.reshape(-1, *[1] * (weight.dim() - 1))
    return torch.round(weight.detach() / column).clamp(spec.lowest, spec.highest), scale


def quantize_weight(weight: Tensor, spec: QuantSpec) -> Tensor:
    """``weight`` (c_out, ...) on its grid, straight-through gradient."""
    codes, scale = weight_codes(weight, spec)
    return straight_through(weight, codes * scale.reshape(-1, *[1] * (weight.dim() - 1)))


def bias_steps(bias: Tensor, step: Tensor) -> Tensor:
    """``bias`` (c_out,) in whole steps (c_out,) of an integer kernel's sums: input scale x weight scale. float64."""
    return torch.round(bias.detach().double() / step.double())


def quantize_activation(x: Tensor, scale: Tensor, zero_point: Tensor, spec: QuantSpec = ACTIVATION) -> Tensor:
    """``x`` on a given grid, clipped to it: the arithmetic of ONNX QuantizeLinear and DequantizeLinear.

    Clipping before the zero-point is added gives the same integers in one pass less; all passes but the first are
    in place, which is twice as fast as torch's fake quantization (it also writes a mask that nobody needs here).
    """
    steps = (x / scale).round_()
    return steps.clamp_(spec.lowest - zero_point, spec.highest - zero_point).mul_(scale)


def quantize_dynamic(x: Tensor, spec: QuantSpec = ACTIVATION) -> tuple[Tensor, Tensor]:
    """(``x`` on the grid of its own range, straight-through; that range (2,)): what training uses."""
    with torch.no_grad():
        low, high = torch.aminmax(x.detach())
        scale, zero_point = activation_grid(low, high, spec)
        quantized = quantize_activation(x, scale, zero_point, spec)
    return straight_through(x, quantized), torch.stack([low, high])
