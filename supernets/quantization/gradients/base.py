"""What goes back through a rounding."""

from __future__ import annotations

from torch import Tensor


class Gradient:
    """Stands for the derivative of the level with respect to ``u``, the value in units of the step.

    ``parameter`` is the number after the method's name; ``flat`` says that the slope is one everywhere. ``low``,
    ``high`` are the outermost levels.
    """

    flat = False

    def __init__(self, parameter: float = 0.0) -> None:
        self.parameter = parameter

    def before(self, u: Tensor) -> Tensor:
        """What is rounded in place of ``u``."""
        return u

    def slope(self, u: Tensor, low: float | Tensor, high: float | Tensor) -> Tensor | None:
        """The derivative, same shape, or a mask; ``None``: one everywhere."""
        raise NotImplementedError
