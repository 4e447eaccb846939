"""The largest magnitude is the outermost level."""

from __future__ import annotations

from torch import Tensor

from spaces import QuantSpec
from supernets.quantization.scales.base import Grid, upto


def absmax(rows: Tensor, spec: QuantSpec, role: str, parameter: float) -> Grid:
    """No gradient to the largest value through the step."""
    return upto(rows.detach().abs().amax(dim=1), spec)


def routed(rows: Tensor, spec: QuantSpec, role: str, parameter: float) -> Grid:
    """The same with the exact gradient: what rounding does to all values reaches the one that sets the step.

    The gradient of ``y = s Q(x / s)`` with ``s = max|x| / M``: the residual of LSQ, routed to one value.
    """
    return upto(rows.abs().amax(dim=1), spec)
