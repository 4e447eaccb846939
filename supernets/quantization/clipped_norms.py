"""Batch norm, activation function and the rounding by learned steps of the one layer that reads it, together: as
:mod:`supernets.quantization.norms`, where a :class:`~supernets.quantization.straight.Clip` rounds. For compiling only.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any

import torch
from torch import Tensor

from supernets.quantization import norms
from supernets.quantization.activations import TOPS
from supernets.quantization.straight import Clip

PARTS = 250
"""Of a step, in which errors are kept, from -125 to 125."""
TOP, ABOVE, BELOW, CUT = 126, 127, -127, -128
"""A value at the top of the activation function, beyond the outermost levels, and at the function's zero."""


def forward(
    x: Tensor, factor: Tensor, bias: Tensor, activation: str, scale: Tensor, low: Tensor, high: Tensor
) -> tuple[Tensor, Tensor]:
    """(normalised values (n, c) after activation function and rounding, the error or place of each as int8)."""
    y, top = x * factor + bias, TOPS.get(activation)
    value = y if activation == "none" else y.clamp(min=0.0) if top is None else y.clamp(0.0, top)
    u = value / scale
    inside = u.clamp(low, high)
    level = inside.round()
    code = (level - inside) * PARTS
    if top is not None:
        code = torch.where(y >= top, TOP, code)
    code = torch.where(u > high, ABOVE, code)
    code = torch.where(y <= 0, CUT, code) if activation != "none" else torch.where(u < low, BELOW, code)
    return level * scale, code.round().to(torch.int8)


def backward(
    gradient: Tensor, code: Tensor, x: Tensor, mean: Tensor, inverse: Tensor, factor: Tensor, at_top: Tensor,
    low: Tensor, high: Tensor,
) -> tuple[Tensor, ...]:  # fmt: skip
    """Gradients to ``x``, the gain and the shift, the sum to the scale, and minus that of what lies outside.

    ``at_top``: the rounding error there, in steps. At the function's zero it is none, as zero is always a level.
    """
    kept = code.to(gradient.dtype)
    inner = torch.where(kept.abs() <= PARTS // 2, gradient, 0.0)
    error = torch.where(kept == CUT, 0.0, torch.where(kept == TOP, at_top, kept * (1 / PARTS)))
    error = torch.where(kept == ABOVE, high, torch.where(kept == BELOW, low, error))
    outside = torch.where(kept.abs() == ABOVE, gradient, 0.0)
    to_scale = (gradient * error).sum(0).sum()  # by column first, as the norm's sums are
    return *norms.normed_back(inner, x, mean, inverse, factor), to_scale, -outside.sum(0).sum()


@dataclass(frozen=True)
class Passes:
    """As they are or compiled; ``statistics`` as :func:`supernets.quantization.norms.statistics`."""

    statistics: Callable[..., norms.Statistics] = norms.statistics
    forward: Callable[..., tuple[Tensor, Tensor]] = forward
    backward: Callable[..., tuple[Tensor, ...]] = backward


EAGER_PASSES = Passes()


@cache
def compiled(activation: str) -> Passes:
    """See :func:`supernets.quantization.norms.compiled`."""
    return Passes(*(norms.compiled_apart(f) for f in (norms.statistics, forward, backward)))


class _Normed(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, x: Tensor, gain: Tensor, shift: Tensor, scale: Tensor, zero: Tensor | None, epsilon: float,
        activation: str, clip: Clip, passes: Passes,
    ) -> Tensor:  # fmt: skip
        rows, after = norms.rows(x), norms.After(activation, False, None)
        mean, inverse, factor, bias, *_ = passes.statistics(rows, gain.detach(), shift.detach(), epsilon, after)
        step, low, high = scale.detach(), *(torch.tensor(end, dtype=x.dtype) for end in (clip.low, clip.high))
        y, code = passes.forward(rows, factor, bias, activation, step, low, high)
        at_top = (TOPS.get(activation) or 0.0) / step
        ctx.clip, ctx.passes = clip, passes
        ctx.save_for_backward(code, x, mean, inverse, factor, at_top.round() - at_top, low, high)
        return norms.pictures(y, x.shape)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        code, x, *others = ctx.saved_tensors
        found = ctx.passes.backward(norms.rows(gradient), code, norms.rows(x), *others)
        to_x, to_gain, to_shift, *sums = found
        return norms.pictures(to_x, x.shape), to_gain, to_shift, *ctx.clip.gradients(*sums), *[None] * 4


def normed(
    x: Tensor, gain: Tensor, shift: Tensor, epsilon: float, activation: str, clip: Clip, passes: Passes
) -> Tensor:  # fmt: skip
    """``x`` (b, c, h, w) normalised by its own statistics, after an activation function of :data:`TOPS` or ``none``,
    on the grid of ``clip``.

    Equal, but for float rounding, to torch's batch norm, the function, and then
    :func:`supernets.quantization.straight.clipped`.
    Keeps ``x`` and a byte per value. The layer that reads the result keeps it whole, not as bytes
    (:mod:`supernets.quantization.compact`): coding takes two passes, and less is kept than in float without it.
    """
    given = clip.scale, clip.zero, epsilon, activation, clip, passes
    return _Normed.apply(x, gain, shift, *given)  # type: ignore[no-untyped-call, no-any-return]
