"""Where learned scales start. From then on they are parameters (:mod:`supernets.quantization.elastic`)."""

from __future__ import annotations

import torch
from torch import Tensor

from spaces import QuantSpec
from supernets.quantization.scales.base import SMALLEST, Grid, between
from supernets.quantization.scales.lp import lp


def lsq(rows: Tensor, spec: QuantSpec, role: str, parameter: float) -> Grid:
    """``2 mean|x| / sqrt(highest level)``, twice that for values without a sign (Esser et al. 2020, section 2.1)."""
    size = rows.detach().abs().mean(dim=1) * (2.0 if spec.signed else 4.0)
    return (size / spec.format.high**0.5).clamp_min(SMALLEST), None


def lsqplus(rows: Tensor, spec: QuantSpec, role: str, parameter: float) -> Grid:
    """Weights: what is three standard deviations from the mean is the end of the range; inputs: the range of the least
    squared error (Bhalgat et al. 2020, LSQ+, section 3.2)."""
    if role != "weight":
        return lp(rows, spec, role, 2.0)
    deviation, mean = torch.std_mean(rows.detach(), dim=1, correction=0)
    low, high = mean - 3 * deviation, mean + 3 * deviation
    if spec.offset != "none":
        return between(low, high, spec)
    return (torch.maximum(-low, high) / (1 << (spec.bits - 1))).clamp_min(SMALLEST), None


def eqnet(rows: Tensor, spec: QuantSpec, role: str, parameter: float) -> Grid:
    """The range of the least error ``|x - q(x)|^p`` (Xu et al. 2023, EQ-Net, section 3.2); ``parameter`` is p."""
    return lp(rows, spec, role, parameter)
