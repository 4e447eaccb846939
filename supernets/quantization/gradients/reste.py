"""The derivative of a root: nearer to the sign the larger the exponent, less even as well."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from supernets.quantization.gradients.base import Gradient

FAR, NEAR = 1.5, 0.1


class ReSTE(Gradient):
    """Of ``sign(u) |u|^(1/o)`` up to :data:`FAR`; below :data:`NEAR`, where it would grow without bound, its mean.

    ``parameter`` is o; o = 1 is the clipped straight-through estimator. Source: Wu et al. 2023 (ReSTE), section 3.2.
    """

    def slope(self, u: Tensor, low: float | Tensor, high: float | Tensor) -> Tensor:
        """Largest at zero; its integral from 0 to t is ``t^(1/o)``."""
        o, size = self.parameter, u.abs()
        found = size.clamp(min=NEAR).pow_((1 - o) / o).div_(o)
        found = torch.where(size <= NEAR, torch.full_like(u, NEAR ** (1 / o) / NEAR), found)
        return found.mul_(size <= FAR)


def exponent(progress: float, last: float = 3.0) -> float:
    """The o of a training that is so far, 0 to 1: from 1 to ``last`` on a half cosine (section 3.3)."""
    return 1 + (last - 1) * (1 - math.cos(math.pi * progress / 2))
