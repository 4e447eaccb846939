"""What a number format does with scaled values."""

from __future__ import annotations

from typing import Protocol

from torch import Tensor


class Number(Protocol):
    """Levels that a code can mean. ``u`` are values in units of the scale, of any shape and floating type.

    Nothing outside this folder knows where the levels are: a rounding asks for the nearest one, or for the two around
    a value. Levels are clipped here, never in a scale rule.
    """

    def nearest(self, u: Tensor) -> Tensor:
        """The nearest level, same shape; of two equally near ones that with the even code."""
        ...

    def around(self, u: Tensor) -> tuple[Tensor, Tensor]:
        """(next level at or below, the one above that); beyond the outermost levels the two outermost ones."""
        ...

    def encode(self, level: Tensor) -> Tensor:
        """Codes, int16, of levels: exact inverse of ``decode``."""
        ...

    def decode(self, code: Tensor) -> Tensor:
        """Levels, float32, of codes."""
        ...
