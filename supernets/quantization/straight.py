"""Values going forward, someone else's gradient going back."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from supernets.quantization.compact import steps
from supernets.quantization.formats import Integers, Number
from supernets.quantization.gradients import Gradient
from supernets.quantization.kernels import Kernels
from supernets.quantization.roundings import nearest
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


@dataclass(frozen=True)
class Clip:
    """One grid of the whole levels ``low`` to ``high``, which a whole ``zero`` has moved already, as all of a tensor is
    clipped to it. ``factor``: see :func:`rounded`."""

    scale: Tensor
    zero: Tensor | None
    low: float
    high: float
    factor: float

    def gradients(self, to_scale: Tensor, outside: Tensor) -> tuple[Tensor, Tensor | None]:
        """To scale and zero: of the sum to the scale, and of minus that of the gradients to what is outside."""
        to_zero = None if self.zero is None else outside * self.scale.detach() * self.factor
        return to_scale * self.factor, to_zero


class _Clipped(torch.autograd.Function):
    """As :class:`_Rounded` of integers on one grid, clipped, with a byte per value kept; ``zero`` is whole."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, scale: Tensor, zero: Tensor | None, clip: Clip, kernels: Kernels) -> Tensor:
        y, error = kernels.clipped(x, scale, clip.low, clip.high)
        ctx.clip, ctx.kernels = clip, kernels
        ctx.steps = steps(scale, clip.low, clip.high, kernels)
        ctx.save_for_backward(error)
        return y

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        to_x, *sums = ctx.kernels.clipped_back(gradient, *ctx.saved_tensors, ctx.clip.low, ctx.clip.high)
        return to_x, *ctx.clip.gradients(*sums), None, None


def clipped(x: Tensor, clip: Clip, kernels: Kernels) -> Tensor:
    """``x`` on the grid of ``clip``."""
    return _Clipped.apply(x, clip.scale, clip.zero, clip, kernels)  # type: ignore[no-untyped-call, no-any-return]


class _Rounded(torch.autograd.Function):
    """``(Q(x / scale + zero) - zero) scale``. With d the slope, the gradients are d to x, Q - zero - d x / scale to the
    scale and scale (d - 1) to zero: inside the range 1, the rounding error and 0, beyond it 0, its end and -scale.

    Keeps x alone, a weight as a rule, which is there anyway; the rest is computed again.
    """

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, scale: Tensor, zero: Tensor | None, levels: Number, rounding: Round, gradient: Gradient,
        limits: Limits, factor: float, real: bool, draws: Draws,
    ) -> Tensor:  # fmt: skip
        u = x / scale
        moved = u + zero if zero is not None and real else u
        level = rounding(levels, gradient.before(moved), draws)
        if zero is not None and real:
            level = level - zero
        ctx.methods = gradient, limits, factor, real
        if isinstance(levels, Integers) and rounding is nearest and not real:  # whole levels
            ctx.steps = steps(scale, levels.low, levels.high)
        learned = ctx.needs_input_grad[1]
        if learned or not gradient.flat:
            kept = None if rounding is nearest else level
            ctx.levels = levels if learned and kept is None else None
            ctx.save_for_backward(x, scale, zero, kept if learned else None)
        return level * scale

    @staticmethod
    def backward(ctx: Any, to_y: Tensor) -> tuple[Tensor | None, ...]:
        gradient, limits, factor, real = ctx.methods
        nothing = [None] * 7
        if not ctx.saved_tensors:
            return to_y, None, None, *nothing
        x, scale, zero, level = ctx.saved_tensors
        u = x / scale
        moved = u + zero if zero is not None and real else u
        slope = gradient.slope(moved, *limits)
        to_x, to_scale, to_zero = to_y if slope is None else to_y * slope, None, None
        if ctx.needs_input_grad[1]:
            if level is None:
                level = ctx.levels.nearest(gradient.before(moved))
                level = level - zero if zero is not None and real else level
            error = level - (u if slope is None else u.mul_(slope))
            to_scale = error.mul_(to_y).sum_to_size(scale.shape) * factor
        if ctx.needs_input_grad[2]:
            assert zero is not None
            to_zero = ((to_x - to_y) * scale).sum_to_size(zero.shape) * factor
        return to_x if ctx.needs_input_grad[0] else None, to_scale, to_zero, *nothing


def rounded(
    x: Tensor, scale: Tensor, zero: Tensor | None, levels: Number, rounding: Round, gradient: Gradient,
    limits: Limits, factor: float = 1.0, real: bool = False, draws: Draws = None,
) -> Tensor:  # fmt: skip
    """``x`` on a grid. ``levels`` are moved by a whole ``zero`` already, a ``real`` one is added before the rounding.

    The gradients to scale and zero are multiplied by ``factor`` (Esser et al. 2020, section 2.2).
    """
    return _Rounded.apply(x, scale, zero, levels, rounding, gradient, limits, factor, real, draws)  # type: ignore[no-untyped-call, no-any-return]
