"""What a scale rule is."""

from __future__ import annotations

from typing import Protocol

from torch import Tensor

from spaces import QuantSpec

SMALLEST = 1e-6  # values that are all zero still need a step; small enough to change nothing else
Grid = tuple[Tensor, Tensor | None]
"""Steps (k,), and where the offset is not ``none`` zero-points (k,), real numbers: value = step x (level - zero)."""


class Rule(Protocol):
    """Finds the grid of the values that are there: of the active slice, of this batch."""

    def __call__(self, rows: Tensor, spec: QuantSpec, role: str, parameter: float) -> Grid:
        """``rows`` (k, m): m values share a step. Steps are at least :data:`SMALLEST`."""
        ...


def between(low: Tensor, high: Tensor, spec: QuantSpec) -> Grid:
    """The grid whose codes reach from ``low`` to ``high`` (k,), both moved so that zero lies between them."""
    low, high = low.clamp_max(0.0), high.clamp_min(0.0)
    step = ((high - low) / (spec.highest - spec.lowest)).clamp_min(SMALLEST)
    return step, spec.lowest - low / step


def upto(most: Tensor, spec: QuantSpec) -> Grid:
    """The symmetric grid whose outermost level is ``most`` (k,)."""
    return (most / spec.format.high).clamp_min(SMALLEST), None
