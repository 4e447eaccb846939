"""Integers in a range; their codes are themselves. Ternary values are the integers -1, 0, 1."""

from __future__ import annotations

import torch
from torch import Tensor


class Integers:
    """Integers from ``low`` to ``high``, numbers, or tensors where a zero-point per scale moves the range."""

    def __init__(self, low: float | Tensor, high: float | Tensor) -> None:
        self.low, self.high = low, high

    def nearest(self, u: Tensor) -> Tensor:
        """Round half to even, clipped."""
        return self._clipped(u.round(), self.low, self.high)

    def around(self, u: Tensor) -> tuple[Tensor, Tensor]:
        """Floor, and one more."""
        below = self._clipped(u.floor(), self.low, self.high - 1)
        return below, below + 1

    def encode(self, level: Tensor) -> Tensor:
        """The integers themselves."""
        return level.to(torch.int16)

    def decode(self, code: Tensor) -> Tensor:
        """The integers themselves."""
        return code.to(torch.float32)

    @staticmethod
    def _clipped(own: Tensor, low: float | Tensor, high: float | Tensor) -> Tensor:
        return own.clamp_(low, high)  # type: ignore[arg-type]  # two numbers or two tensors


class MidRise:
    """+-1/2, +-3/2, ...: 2^bits levels, none at 0 (OFQ, Liu et al. 2023, section 3.2, in units of the step).

    Deviation: codes are clipped after rounding; with one bit the rule as published rounds -3/2 half to even, which
    makes a third level.
    """

    def __init__(self, half: int) -> None:
        self._codes = Integers(-half, half - 1)

    def nearest(self, u: Tensor) -> Tensor:
        """An integer plus a half; at a tie that whose integer is even, so 0 becomes 1/2."""
        return self._codes.nearest(u - 0.5).add_(0.5)

    def around(self, u: Tensor) -> tuple[Tensor, Tensor]:
        """Levels below and above."""
        below, above = self._codes.around(u - 0.5)
        return below + 0.5, above + 0.5

    def encode(self, level: Tensor) -> Tensor:
        """The integer below each level."""
        return self._codes.encode(level - 0.5)

    def decode(self, code: Tensor) -> Tensor:
        """Half above each integer."""
        return self._codes.decode(code) + 0.5
