"""The sign of a sine: a weight is a phase."""

from __future__ import annotations

import torch
from torch import Tensor

from supernets.quantization.gradients.base import Gradient


class BiPer(Gradient):
    """Forward ``sign(sin(w u))``, backward ``w cos(w u)``; ``parameter`` is w (Vargas et al. 2024, section 3)."""

    def before(self, u: Tensor) -> Tensor:
        """The sine."""
        return torch.sin(self.parameter * u)

    def slope(self, u: Tensor, low: float | Tensor, high: float | Tensor) -> Tensor:
        """Its derivative."""
        return torch.cos(self.parameter * u).mul_(self.parameter)
