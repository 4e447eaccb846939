"""The passes over whole activations, written for few of them: in place, a byte per value kept, no masks of booleans,
which cost torch as much as several passes of floats. All can be compiled into one pass each.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields
from functools import cache
from typing import Any

import torch
from torch import Tensor

STEPS = 252
"""Parts of a step in which errors are kept, from -126 to 126; -127 is a value above the range, 127 one below."""
_FAR = 1e9
FEW = 1 << 18
"""Values; for fewer the way into compiled code takes as long as it saves."""


def rounded(x: Tensor, scale: Tensor, low: float, high: float) -> Tensor:
    """``x`` on the levels ``low`` to ``high``."""
    steps = (x / scale).round_()
    # In place where limits are numbers; as tensors, they come from compiled code, which has no such clamp.
    steps = steps.clamp_(low, high) if isinstance(low, float) else steps.clamp(low, high)
    return steps.mul_(scale)


def clipped(x: Tensor, scale: Tensor, low: float, high: float) -> tuple[Tensor, Tensor]:
    """(``x`` on the levels ``low`` to ``high``, each value's rounding error or side of the range as int8)."""
    u = x / scale
    inside = u.clamp(low, high)
    level = inside.round()
    error = u.sub_(inside).mul_(-_FAR).add_(inside.sub_(level), alpha=-STEPS)
    return level.mul_(scale), error.round_().clamp_(-127, 127).to(torch.int8)


def clipped_back(gradient: Tensor, error: Tensor, low: float, high: float) -> tuple[Tensor, Tensor, Tensor]:
    """(gradient to the values, to the scale, and what the values outside would have had, negative): of learned steps
    (Esser et al. 2020, equation 3), the errors as they were kept.

    Sums over the values outside, and over them with the sign of their side, give the sums above and below.
    """
    kept = error.to(gradient.dtype)
    to_x = gradient * kept.abs().sub_(127).neg_().clamp_(0, 1)
    g, inner, sides = gradient.reshape(-1), to_x.reshape(-1), kept.reshape(-1)
    within = torch.dot(inner, sides)
    signed, outside = (torch.dot(g, sides) - within) / 127, g.sum() - inner.sum()
    to_scale = within / STEPS + high * (outside - signed) / 2 + low * (outside + signed) / 2
    return to_x, to_scale, -outside


def coded(y: Tensor, scale: Tensor, low: float) -> Tensor:
    """Rounded values ``y`` as int8: -128 for the level ``low``."""
    return (y / scale).sub_(low + 128).round_().to(torch.int8)


def decoded(codes: Tensor, scale: Tensor, low: float) -> Tensor:
    """The values of :func:`coded`, bit for bit."""
    return codes.to(scale.dtype).add_(low + 128).mul_(scale)


def activated(x: Tensor, scale: Tensor, top: float | None, highest: float) -> tuple[Tensor, Tensor]:
    """(``x`` rounded to whole steps from 0 to ``highest``, int8, positive where a ReLU that ends at ``top`` lets
    gradients through)."""
    return rounded(x, scale, highest * 0, highest), passed(x, top)


def passed(x: Tensor, top: float | Tensor | None) -> Tensor:
    """The second of :func:`activated`."""
    return (x.sign() if top is None else (top - x).mul_(x).sign_()).to(torch.int8)


def limited(x: Tensor, top: float | None) -> tuple[Tensor, Tensor]:
    """(a ReLU of ``x`` that ends at ``top``, the second of :func:`activated`)."""
    return torch.relu(x) if top is None else torch.relu(x).clamp(max=top), passed(x, top)


def passed_back(gradient: Tensor, let: Tensor) -> Tensor:
    """``gradient`` where ``let`` is positive."""
    return torch.ops.aten.threshold_backward(gradient, let.to(gradient.dtype), 0)  # type: ignore[no-any-return]


@dataclass(frozen=True)
class Kernels:
    """The passes, as they are or compiled."""

    rounded: Callable[[Tensor, Tensor, float, float], Tensor] = rounded
    clipped: Callable[[Tensor, Tensor, float, float], tuple[Tensor, Tensor]] = clipped
    clipped_back: Callable[[Tensor, Tensor, float, float], tuple[Tensor, Tensor, Tensor]] = clipped_back
    coded: Callable[[Tensor, Tensor, float], Tensor] = coded
    decoded: Callable[[Tensor, Tensor, float], Tensor] = decoded
    activated: Callable[[Tensor, Tensor, float | None, float], tuple[Tensor, Tensor]] = activated
    limited: Callable[[Tensor, float | None], tuple[Tensor, Tensor]] = limited
    passed_back: Callable[[Tensor, Tensor], Tensor] = passed_back


EAGER = Kernels()


@cache
def compiled() -> Kernels:
    """Compiled at their first call, which takes seconds and a C++ compiler; equal results but for float rounding."""
    return Kernels(*(_compiled(getattr(EAGER, field.name)) for field in fields(Kernels)))


def _compiled(kernel: Callable[..., Any]) -> Callable[..., Any]:
    """Of vectors of any length; limits go in as tensors, as a number would be compiled in."""
    made = torch.compile(kernel, dynamic=True)

    def call(x: Tensor, *others: Any) -> Any:
        if x.numel() < FEW:
            return kernel(x, *others)
        pictures = _pictures(x)
        found = made(laid(x, pictures, x.numel()), *(_given(v, pictures) for v in others))
        if isinstance(found, Tensor):
            return shaped(found, x.shape, pictures)
        return tuple(shaped(v, x.shape, pictures) if v.dim() else v for v in found)

    return call


def _given(value: Any, pictures: bool) -> Any:
    if isinstance(value, Tensor):
        return laid(value, pictures, value.numel()) if value.dim() else value.detach()
    return torch.tensor(value) if isinstance(value, float) else value


def flat(x: Tensor) -> Tensor:
    """(n,) all values in the order in which they lie in memory, a view of :func:`dense` ones. Over pictures with their
    channels last torch's reductions copy all values first, which takes ten times as long as reducing."""
    return (x.permute(0, 2, 3, 1) if _pictures(x) else x).reshape(-1)


def dense(x: Tensor) -> bool:
    """Whether the values lie in memory without gaps: row by row, or the channels of a pixel side by side."""
    return x.is_contiguous() or (x.dim() == 4 and x.is_contiguous(memory_format=torch.channels_last))


def _pictures(x: Tensor) -> bool:
    return x.dim() == 4 and not x.is_contiguous()


def laid(x: Tensor, pictures: bool, *shape: int) -> Tensor:
    """The values in the order of ``pictures`` with their channels last, or row by row: the memory of one that lies so.

    No view, whose base would be compiled in, and no part of a graph of gradients.
    """
    values = (x.detach().permute(0, 2, 3, 1) if pictures else x.detach()).contiguous()
    return torch.ops.aten._unsafe_view(values, shape)  # type: ignore[no-any-return]


def shaped(values: Tensor, shape: torch.Size, pictures: bool) -> Tensor:
    """What :func:`laid` was given, of the shape that it had."""
    if not pictures:
        return values.view(shape)
    b, c, h, w = shape
    return values.view(b, h, w, c).permute(0, 3, 1, 2)
