"""Tensors between layers: stored in 8 bits on one grid each, wherever an integer kernel reads or writes them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from spaces import QuantSpec
from supernets.quantization.kernels import EAGER, Kernels, flat
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


def quantize_activation(
    x: Tensor, scale: Tensor, zero_point: Tensor, spec: QuantSpec = ACTIVATION, kernels: Kernels = EAGER
) -> Tensor:  # fmt: skip
    """``x`` on a given grid, clipped to it: the arithmetic of ONNX QuantizeLinear and DequantizeLinear.

    Clipping before the zero-point is added gives the same integers in one pass less; all passes but the first are
    in place, which is twice as fast as torch's fake quantization (it also writes a mask that nobody needs here).
    """
    zero = int(zero_point)  # clipping by tensors takes four times as long
    return kernels.rounded(x, scale, float(spec.lowest - zero), float(spec.highest - zero))


def quantize_dynamic(
    x: Tensor, spec: QuantSpec = ACTIVATION, kernels: Kernels = EAGER
) -> tuple[Tensor, Tensor]:  # fmt: skip
    """(``x`` on the grid of its own range, straight-through; that range (2,)): what training uses."""
    with torch.no_grad():
        low, high = torch.aminmax(flat(x.detach()))
        scale, zero_point = activation_grid(low, high, spec)
        quantized = quantize_activation(x, scale, zero_point, spec, kernels)
    return straight_through(x, quantized), torch.stack([low, high])


class _ActivatedRounded(torch.autograd.Function):
    """ReLU, then the grid of what is left, in one: the bottom of the range is the ReLU."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, top: float | None, spec: QuantSpec, kernels: Kernels) -> Tensor:
        high = flat(x).max().clamp(0.0, top)
        scale, _ = activation_grid(torch.zeros_like(high), high, spec)
        y, let = kernels.activated(x, scale, top, float(spec.highest))
        ctx.kernels = kernels
        ctx.save_for_backward(let)
        return y

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None, None]:
        return ctx.kernels.passed_back(gradient, *ctx.saved_tensors), None, None, None


TOPS: Mapping[str, float | None] = {"relu": None, "relu6": 6.0}
"""Activation functions that end at zero, and where else."""


def quantize_activated(
    x: Tensor, activation: str, spec: QuantSpec = ACTIVATION, kernels: Kernels = EAGER
) -> Tensor:  # fmt: skip
    """As :func:`quantize_dynamic` of a function of :data:`TOPS` of ``x``, in less time, and a byte per value kept."""
    return _ActivatedRounded.apply(x, TOPS[activation], spec, kernels)  # type: ignore[no-untyped-call, no-any-return]


class _Activated(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, top: float | None, kernels: Kernels) -> Tensor:
        ctx.kernels = kernels
        y, let = kernels.limited(x, top)
        ctx.save_for_backward(let)
        return y

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None]:
        return ctx.kernels.passed_back(gradient, *ctx.saved_tensors), None, None


def activated(x: Tensor, activation: str, kernels: Kernels = EAGER) -> Tensor:
    """A function of :data:`TOPS` that keeps a byte per value: for outputs that are rounded next, and not kept else."""
    return _Activated.apply(x, TOPS[activation], kernels)  # type: ignore[no-untyped-call, no-any-return]
