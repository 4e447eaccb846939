"""Steps for levels -1, 0, 1 and -1, 1."""

from __future__ import annotations

from torch import Tensor

from spaces import QuantSpec
from supernets.quantization.scales.base import SMALLEST, Grid


def mean(rows: Tensor, spec: QuantSpec, role: str, parameter: float) -> Grid:
    """The mean magnitude: for signs the step of the least squared error (Rastegari et al. 2016, XNOR-Net, section 3.1);
    for ternary levels that of BitNet b1.58 (Ma et al. 2024, equation 3)."""
    return rows.detach().abs().mean(dim=1).clamp_min(SMALLEST), None


def median(rows: Tensor, spec: QuantSpec, role: str, parameter: float) -> Grid:
    """The median magnitude, which an outlier hardly moves (Nielsen & Schneider-Kamp 2024, "BitNet b1.58 Reloaded",
    section 3; of an even number of values the lower of the two in the middle)."""
    return rows.detach().abs().median(dim=1).values.clamp_min(SMALLEST), None


def fourthirds(rows: Tensor, spec: QuantSpec, role: str, parameter: float) -> Grid:
    """Four thirds of the mean magnitude: uniform values fall into the three levels equally often (Liu et al. 2023,
    "Binary and Ternary Natural Language Generation", section 3.1.2)."""
    return (rows.detach().abs().mean(dim=1) * (4 / 3)).clamp_min(SMALLEST), None
