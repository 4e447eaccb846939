"""Straight through inside the range."""

from __future__ import annotations

from torch import Tensor

from supernets.quantization.gradients.base import Gradient


class Clipped(Gradient):
    """One between the outermost levels, zero beyond (Courbariaux et al. 2016, section 1.3; Esser et al. 2020)."""

    def slope(self, u: Tensor, low: float | Tensor, high: float | Tensor) -> Tensor:
        """A mask."""
        return (u >= low) & (u <= high)
