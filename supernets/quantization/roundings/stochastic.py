"""To the level above with the probability of the distance from the one below: right on average."""

from __future__ import annotations

import torch
from torch import Tensor

from supernets.quantization.formats import Number
from supernets.quantization.roundings.base import Draws


def stochastic(number: Number, u: Tensor, draws: Draws) -> Tensor:
    """Source: Gupta et al. 2015, section 3.1. Beyond the outermost levels it is those."""
    below, above = number.around(u)
    share = (u - below) / (above - below)
    drawn = torch.rand(u.shape, generator=draws, dtype=u.dtype).to(u.device)
    return torch.where(drawn < share, above, below)
