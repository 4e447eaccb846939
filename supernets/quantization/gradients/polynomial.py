"""The derivative of a piecewise quadratic sign."""

from __future__ import annotations

from torch import Tensor

from supernets.quantization.gradients.base import Gradient


class Polynomial(Gradient):
    """``max(0, 2 - 2|u|)`` (Liu et al. 2018, Bi-Real Net, section 3.3)."""

    def slope(self, u: Tensor, low: float | Tensor, high: float | Tensor) -> Tensor:
        """A triangle of area 2 around zero."""
        return (2 - 2 * u.abs()).clamp_(min=0)
