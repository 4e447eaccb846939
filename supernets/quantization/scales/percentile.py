"""A share of the values lies inside the grid; outliers are clipped."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from spaces import QuantSpec
from supernets.quantization.scales.base import Grid, between, upto


def percentile(rows: Tensor, spec: QuantSpec, role: str, parameter: float) -> Grid:
    """``parameter`` percent of the magnitudes are inside; with an offset, as many below the top and above the bottom.

    Source: Li et al. 2019, "Fully Quantized Network for Object Detection", section 3.1. Differs: order statistics are
    taken without interpolation.
    """
    rows = rows.detach()
    if spec.offset == "none":
        return upto(_smallest(rows.abs(), parameter), spec)
    return between(-_smallest(-rows, parameter), _smallest(rows, parameter), spec)


def _smallest(rows: Tensor, percent: float) -> Tensor:
    """(k,) the smallest value that ``percent`` of each row do not exceed."""
    return torch.kthvalue(rows, max(1, math.ceil(rows.shape[1] * percent / 100)), dim=1)[0]
