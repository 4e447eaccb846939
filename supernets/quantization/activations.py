"""Tensors between layers: stored in 8 bits on one grid each, wherever an integer kernel reads or writes them."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from spaces import QuantSpec
from supernets.quantization.methods import whole
from supernets.quantization.scales import between
from supernets.quantization.straight import straight_through

ACTIVATION = QuantSpec(8, signed=False, granularity="tensor")
"""How a tensor between layers is stored wherever it is stored as integers."""


def activation_grid(low: Tensor, high: Tensor, spec: QuantSpec) -> tuple[Tensor, Tensor]:
    """(scale, integer zero-point int32), scalars, for values in [low, high].

    Zero is always on the grid (padding and ReLU need it), and after a ReLU the zero-point is 0: the bottom of the
    range, where the clip of the integer kernel is the ReLU.
    """
    scale, zero = between(low, high, spec)
    assert zero is not None
    return scale, whole(zero, spec).to(torch.int32)


def narrowed(scale: Tensor, zero_point: Tensor, stored: QuantSpec, spec: QuantSpec) -> tuple[Tensor, Tensor]:
    """(scale, zero-point) of ``spec`` over the range of a grid of ``stored``; that grid itself if bits are equal.

    A tensor is stored once, in the bits that its widest reader wants; a reader of fewer bits rounds it again.
    """
    if spec.bits == stored.bits:
        return scale, zero_point
    low, high = (stored.lowest - zero_point) * scale, (stored.highest - zero_point) * scale
    return activation_grid(low, high, spec)


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


class _PositiveRounded(torch.autograd.Function):
    """ReLU, then its grid, in one: what goes back is masked by where the input was positive, a byte per value."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, spec: QuantSpec) -> Tensor:
        high = x.max().clamp_min(0.0)
        scale, _ = activation_grid(torch.zeros_like(high), high, spec)
        ctx.save_for_backward(x > 0)
        return (x / scale).round_().clamp_(0, spec.highest).mul_(scale)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        (positive,) = ctx.saved_tensors
        return gradient * positive, None


def quantize_positive(x: Tensor, spec: QuantSpec = ACTIVATION) -> Tensor:
    """As :func:`quantize_dynamic` of ``relu(x)``, in less time and memory."""
    return _PositiveRounded.apply(x, spec)  # type: ignore[no-untyped-call, no-any-return]


class _Positive(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        ctx.save_for_backward(x > 0)
        return torch.relu(x)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        (positive,) = ctx.saved_tensors
        return gradient * positive


def positive(x: Tensor) -> Tensor:
    """ReLU that keeps a byte per value: for outputs that are rounded next, which nobody else would keep."""
    return _Positive.apply(x)  # type: ignore[no-untyped-call, no-any-return]
