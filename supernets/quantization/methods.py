"""A spec made ready: its methods looked up once, and the two things that are done with it, rounding and coding."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

from torch import Tensor

from spaces import QuantSpec
from supernets.quantization.formats import Integers, Number, number
from supernets.quantization.gradients import GRADIENTS, Gradient
from supernets.quantization.granularity import rows, spread
from supernets.quantization.roundings import ROUNDINGS, Rounding
from supernets.quantization.scales import RULES, Grid, Rule
from supernets.quantization.straight import straight_through


@dataclass(frozen=True)
class Methods:
    """The methods of a spec in a role. Tensors and granularities: :mod:`supernets.quantization.granularity`."""

    spec: QuantSpec
    role: str
    number: Number
    rule: Rule
    parameter: float
    rounding: Rounding
    gradient: Gradient

    def grid(self, x: Tensor) -> Grid:
        """(steps (k,), zero-points (k,) or ``None``) of the values that are there; zero-points are not rounded yet."""
        return self.rule(rows(x, self.spec, self.role), self.spec, self.role, self.parameter)

    def fitted(self, grid: Grid, x: Tensor, hard: bool) -> Grid:
        """The grid in a shape to compute with ``x``; zero-points are whole, but for real ones in training."""
        scale, zero = grid
        if zero is not None:
            if hard or self.spec.offset == "integer":
                zero = whole(zero, self.spec)
            zero = spread(zero, x, self.spec, self.role)
        return spread(scale, x, self.spec, self.role), zero

    def levels(self, zero: Tensor | None, levels: Tensor | None = None) -> Number:
        """The format, moved by whole zero-points, or of these learned levels."""
        if zero is not None:
            moved = zero.detach() if zero.dim() else float(zero.detach())  # clipping by tensors takes much longer
            return Integers(self.spec.format.low - moved, self.spec.format.high - moved)
        return self.number if levels is None else number(self.spec.format, levels)


def whole(zero: Tensor, spec: QuantSpec) -> Tensor:
    """Zero-points as codes: zero itself is on the grid then. Their gradient goes through the rounding."""
    rounded = zero.detach().round().clamp(spec.lowest, spec.highest)
    return straight_through(zero, rounded) if zero.requires_grad else rounded


@cache
def methods(spec: QuantSpec, role: str) -> Methods:
    """The methods of a spec in a role."""
    (scale, parameter), (gradient, strength) = spec.method, spec.estimator
    form = number(spec.format)
    made = GRADIENTS[gradient](strength or 0.0)
    return Methods(spec, role, form, RULES[scale], parameter or 0.0, ROUNDINGS[spec.rounding], made)
