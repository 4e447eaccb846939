"""Values going forward, someone else's gradient going back."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from supernets.quantization.formats import Number
from supernets.quantization.gradients import Gradient
from supernets.quantization.kernels import Kernels
from supernets.quantization.roundings.base import Draws, Round

Limits = tuple[float | Tensor, float | Tensor]
"""The outermost levels."""


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


class _Times(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, factor: float) -> Tensor:
        ctx.factor = factor
        return x

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        return gradient * ctx.factor, None


def gradient_times(x: Tensor, factor: float) -> Tensor:
    """``x`` going forward, its gradient times ``factor`` going back (Esser et al. 2020, section 2.2)."""
    return _Times.apply(x, factor)  # type: ignore[no-untyped-call, no-any-return]


class _Clipped(torch.autograd.Function):
    """As :class:`_Rounded` of integers on one grid, clipped, with a byte per value kept; ``zero`` is whole."""

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, scale: Tensor, zero: Tensor | None, low: float, high: float, kernels: Kernels
    ) -> Tensor:  # fmt: skip
        y, error = kernels.clipped(x, scale, low, high)
        ctx.limits, ctx.kernels = (low, high), kernels
        ctx.save_for_backward(error, scale)
        return y  # type: ignore[no-any-return]

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        error, scale = ctx.saved_tensors
        to_x, to_scale, to_zero = ctx.kernels.clipped_back(gradient, error, *ctx.limits)
        return to_x, to_scale, to_zero * scale if ctx.needs_input_grad[2] else None, None, None, None


def clipped(x: Tensor, scale: Tensor, zero: Tensor | None, low: float, high: float, kernels: Kernels) -> Tensor:
    """``x`` on the levels ``low`` to ``high``, moved by a whole ``zero`` already."""
    return _Clipped.apply(x, scale, zero, low, high, kernels)  # type: ignore[no-untyped-call, no-any-return]


class _Rounded(torch.autograd.Function):
    """``(Q(x / scale + zero) - zero) scale``; with d the slope, the gradients are d, Q - zero - x d / scale, and
    scale (d - 1) to x, scale and zero: inside the range 1, the rounding error and 0, beyond it 0, the end and -scale."""

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, scale: Tensor, zero: Tensor | None, levels: Number, rounding: Round, gradient: Gradient,
        limits: Limits, real: bool, draws: Draws,
    ) -> Tensor:  # fmt: skip
        u = x / scale
        moved = u + zero if zero is not None and real else u
        level = rounding(levels, gradient.before(moved), draws)
        if moved is not u:
            level = level - zero
        slope = gradient.slope(moved, *limits)
        error = None
        if ctx.needs_input_grad[1]:
            error = level - (u if slope is None else u * slope)
        ctx.shapes = scale.shape, None if zero is None else zero.shape
        ctx.save_for_backward(slope, error, scale if ctx.needs_input_grad[2] else None)
        return level * scale

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        slope, error, scale = ctx.saved_tensors
        to_x = gradient if slope is None else gradient * slope
        to_scale = None if error is None else (gradient * error).sum_to_size(ctx.shapes[0])
        to_zero = None
        if scale is not None:
            to_zero = ((to_x - gradient) * scale).sum_to_size(ctx.shapes[1])
        return (to_x if ctx.needs_input_grad[0] else None, to_scale, to_zero, *[None] * 6)


def rounded(
    x: Tensor, scale: Tensor, zero: Tensor | None, levels: Number, rounding: Round, gradient: Gradient,
    limits: Limits, real: bool = False, draws: Draws = None,
) -> Tensor:  # fmt: skip
    """``x`` on a grid. ``levels`` are moved by a whole ``zero`` already, a ``real`` one is added before the rounding."""
    return _Rounded.apply(x, scale, zero, levels, rounding, gradient, limits, real, draws)  # type: ignore[no-untyped-call, no-any-return]
