"""To the nearest level."""

from __future__ import annotations

from torch import Tensor

from supernets.quantization.formats import Number
from supernets.quantization.roundings.base import Draws


def nearest(number: Number, u: Tensor, draws: Draws) -> Tensor:
    """Ties go to the even code."""
    return number.nearest(u)
