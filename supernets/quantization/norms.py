"""Batch norm, activation function and rounding together, of pictures whose channels lie last: four passes over the
values in a training step, where torch's norm alone takes six. Worth it compiled only.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from types import FunctionType
from typing import Any

import torch
from torch import Tensor

from spaces import QuantSpec
from supernets.quantization.activations import ACTIVATION, TOPS, activation_grid
from supernets.quantization.kernels import EAGER, FEW, Kernels, laid, passed, shaped

Grid = tuple[Tensor, Tensor, Tensor]
"""Scale, lowest and highest level."""


@dataclass(frozen=True)
class After:
    """What follows a norm: sums stored in 8 bits or not, an activation function, and the spec of what it gives.

    Of an activation function that is neither ``none`` nor one of :data:`TOPS` the sums alone are stored; ``spec`` is
    ``None``.
    """

    activation: str
    sums8: bool
    spec: QuantSpec | None

    def grids(self, ends: Tensor) -> tuple[Grid | None, Grid | None]:
        """Of the sums, and of what the activation function gives, of values that lie between the ``ends``."""
        low, high = torch.aminmax(ends)
        sums = _grid(low, high, ACTIVATION) if self.sums8 else None
        if self.spec is None:
            return sums, None
        if self.activation in TOPS:
            high = high if sums is None else _on(high, sums)
            low, high = torch.zeros_like(high), high.clamp(0.0, TOPS[self.activation])
        return sums, _grid(low, high, self.spec)


def _grid(low: Tensor, high: Tensor, spec: QuantSpec) -> Grid:
    scale, zero = activation_grid(low, high, spec)
    return scale, (spec.lowest - zero).to(scale.dtype), (spec.highest - zero).to(scale.dtype)


def _on(y: Tensor, grid: Grid) -> Tensor:
    scale, low, high = grid
    return (y / scale).round().clamp(low, high) * scale


Statistics = tuple[Tensor, Tensor, Tensor, Tensor, Grid | None, Grid | None]


def statistics(x: Tensor, gain: Tensor, shift: Tensor, epsilon: float, after: After) -> Statistics:
    """Mean, inverse deviation, factor and bias (c,) of ``x`` (n, c), and the grids of what comes after."""
    near = x[0]  # sums of what is far from zero would lose digits
    apart, most, least = x - near, x.amax(0), x.amin(0)
    mean, squares = apart.mean(0), (apart * apart).mean(0)
    inverse = ((squares - mean * mean).clamp_min(0) + epsilon).rsqrt()
    mean, factor = near + mean, gain * inverse
    bias = shift - mean * factor
    return mean, inverse, factor, bias, *after.grids(torch.stack([most, least]) * factor + bias)


def forward(
    x: Tensor, factor: Tensor, bias: Tensor, activation: str, sums: Grid | None, grid: Grid | None
) -> tuple[Tensor, Tensor | None]:
    """(normalised values after what follows; int8, positive where it lets gradients through, ``None`` for everywhere).

    By itself, as compiled code would compute grids that it makes itself again for every value.
    """
    y = x * factor + bias
    y = y if sums is None else _on(y, sums)
    if activation not in TOPS:
        return (y if grid is None else _on(y, grid)), None
    top = TOPS[activation]
    let = passed(y, top)
    if grid is not None:
        return _on(y, grid), let
    return torch.relu(y) if top is None else torch.relu(y).clamp(max=top), let


def backward(
    gradient: Tensor, let: Tensor | None, x: Tensor, mean: Tensor, inverse: Tensor, factor: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """Gradients to ``x``, the gain and the shift."""
    if let is not None:
        gradient = torch.ops.aten.threshold_backward(gradient, let.to(gradient.dtype), 0)
    return normed_back(gradient, x, mean, inverse, factor)


def normed_back(
    gradient: Tensor, x: Tensor, mean: Tensor, inverse: Tensor, factor: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """Gradients through the norm alone, to ``x``, the gain and the shift."""
    apart = x - mean
    shift, slope = gradient.sum(0), (gradient * apart).sum(0)
    to_x = gradient * factor - apart * (factor * inverse * inverse * slope / len(x)) - factor * shift / len(x)
    return to_x, slope * inverse, shift


@dataclass(frozen=True)
class Passes:
    """As they are or compiled."""

    statistics: Callable[[Tensor, Tensor, Tensor, float, After], Statistics] = statistics
    forward: Callable[..., tuple[Tensor, Tensor | None]] = forward
    backward: Callable[..., tuple[Tensor, Tensor, Tensor]] = backward


EAGER_PASSES = Passes()


@cache
def compiled(after: After) -> Passes:
    """Compiled at their first call, for any number of values and channels; equal results but for float rounding."""
    return Passes(*(compiled_apart(function) for function in (statistics, forward, backward)))


def compiled_apart(function: Callable[..., Any]) -> Callable[..., Any]:
    """A copy, compiled: torch keeps a few compiled forms of a function, and what follows a norm wants some each."""
    assert isinstance(function, FunctionType)
    code = function.__code__.replace()
    own = FunctionType(code, function.__globals__, function.__name__, function.__defaults__, function.__closure__)
    return torch.compile(own, dynamic=True)


def fits(x: Tensor, kernels: Kernels) -> bool:
    """Whether these kernels take ``x`` (b, c, h, w) and its norm together."""
    many = kernels != EAGER and x.dim() == 4 and x.numel() >= FEW and x.shape[1] > 1
    return many and x.dtype == torch.float32 and x.is_contiguous(memory_format=torch.channels_last)


class _Normed(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, x: Tensor, gain: Tensor, shift: Tensor, epsilon: float, after: After, passes: Passes
    ) -> Tensor:
        affine = gain.detach(), shift.detach()  # the size of a parameter would be compiled in
        values = rows(x)
        mean, inverse, factor, bias, *grids = passes.statistics(values, *affine, epsilon, after)
        y, let = passes.forward(values, factor, bias, after.activation, *grids)
        ctx.passes = passes
        ctx.save_for_backward(let, x, mean, inverse, factor)
        return pictures(y, x.shape)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        let, x, *statistics = ctx.saved_tensors
        to_x, to_gain, to_shift = ctx.passes.backward(rows(gradient), let, rows(x), *statistics)
        return pictures(to_x, x.shape), to_gain, to_shift, *[None] * 3


def normed(x: Tensor, gain: Tensor, shift: Tensor, epsilon: float, after: After, passes: Passes) -> Tensor:
    """``x`` (b, c, h, w) normalised by its own statistics, then what follows, on the grids of the ranges that the batch
    has. Gradients go straight through the rounding.

    Equal, but for float rounding, to torch's batch norm and then :func:`supernets.quantization.quantize_dynamic` or
    :func:`supernets.quantization.quantize_activated`. Keeps ``x``, and a byte per value where a ReLU is.
    """
    return _Normed.apply(x, gain, shift, epsilon, after, passes)  # type: ignore[no-untyped-call, no-any-return]


def rows(x: Tensor) -> Tensor:
    """(b, c, h, w) as (n, c)."""
    return laid(x, True, x.numel() // x.shape[1], x.shape[1])


def pictures(values: Tensor, shape: torch.Size) -> Tensor:
    """What :func:`rows` was given, of the shape (b, c, h, w) that it had."""
    return shaped(values, shape, pictures=True)
