"""No rounding, but as much noise as rounding makes: a cheap stand-in while a network is searched.

Source: Wang et al. 2024 (QuantNAS), section 3.2. There the noise is normal with a standard deviation of half a step,
three times the variance of rounding errors; the uniform one, the default here, has just that variance.
"""

from __future__ import annotations

import torch
from torch import Tensor

from supernets.quantization.formats import Number
from supernets.quantization.roundings.base import Draws


def uniform(number: Number, u: Tensor, draws: Draws) -> Tensor:
    """Plus up to half a step in either direction."""
    return _noisy(number, u, torch.rand(u.shape, generator=draws, dtype=u.dtype).to(u.device).sub_(0.5))


def gaussian(number: Number, u: Tensor, draws: Draws) -> Tensor:
    """Plus normal numbers of half a step, as published."""
    return _noisy(number, u, torch.randn(u.shape, generator=draws, dtype=u.dtype).to(u.device).mul_(0.5))


def _noisy(number: Number, u: Tensor, noise: Tensor) -> Tensor:
    """``u`` within the outermost levels, plus ``noise`` in units of the step at each value."""
    below, above = number.around(u)
    inside = torch.where(u < below, below, torch.where(u > above, above, u))
    return noise.mul_(above - below).add_(inside)
