"""Codes reach from the smallest to the largest value."""

from __future__ import annotations

import torch
from torch import Tensor

from spaces import QuantSpec
from supernets.quantization.scales.base import Grid, between


def minmax(rows: Tensor, spec: QuantSpec, role: str, parameter: float) -> Grid:
    """Zero is inside (Jacob et al. 2018, section 2.1)."""
    low, high = torch.aminmax(rows.detach(), dim=1)
    return between(low, high, spec)
