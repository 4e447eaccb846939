"""Twice the mean magnitude is the end of the range."""

from __future__ import annotations

from torch import Tensor

from spaces import QuantSpec
from supernets.quantization.scales.base import SMALLEST, Grid, upto


def statsq(rows: Tensor, spec: QuantSpec, role: str, parameter: float) -> Grid:
    """Statistical quantization: computed at every step, no gradient to it.

    Source: Liu et al. 2023 (OFQ), section 3.2, equation 5. There levels are mid-rise, and the range ends half a step
    beyond the outermost one.
    """
    most = 2 * rows.detach().abs().mean(dim=1)
    if spec.format.kind == "midrise":
        return (most / (1 << (spec.bits - 1))).clamp_min(SMALLEST), None
    return upto(most, spec)
