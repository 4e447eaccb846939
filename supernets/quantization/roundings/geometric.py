"""To the nearest power of two on a logarithmic scale."""

from __future__ import annotations

import torch
from torch import Tensor

from supernets.quantization.formats import Levels, Number
from supernets.quantization.roundings.base import Draws


def geometric(number: Number, u: Tensor, draws: Draws) -> Tensor:
    """``sign(u) 2^round(log2|u|)``: at most a factor of sqrt(2) away (You et al. 2023, ShiftAddViT, section 3.2).

    Magnitudes nearer to half the smallest power, on that scale, are zero.
    """
    assert isinstance(number, Levels), "only powers of two are rounded so"
    least = float(number.levels[number.levels > 0].min())
    size = torch.ldexp(torch.ones_like(u), torch.log2(u.abs()).round_().clamp_(-126, 126).to(torch.int32))
    return torch.where(size < least, torch.zeros_like(u), size.clamp(max=1)).copysign(u)
