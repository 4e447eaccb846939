"""Any ordered levels: codebooks, learned or not, and powers of two."""

from __future__ import annotations

import torch
from torch import Tensor


class Levels:
    """``levels`` (k,), ascending; the code of a level is its position.

    Ties go to the level above, but for those with an even position below: one rule for all formats.
    """

    def __init__(self, levels: Tensor) -> None:
        self.levels = levels

    def nearest(self, u: Tensor) -> Tensor:
        """Nearest level."""
        levels = self.levels.to(u)
        return levels[self.index(u)]

    def index(self, u: Tensor) -> Tensor:
        """Position, int64, of the nearest level to each value."""
        levels = self.levels.to(u)
        if len(levels) == 1:
            return torch.zeros_like(u, dtype=torch.int64)
        middles = (levels[1:] + levels[:-1]) / 2
        found = torch.bucketize(u, middles, right=True)  # a tie goes up
        tie = found.gt(0) & (u == middles[(found - 1).clamp_(min=0)])
        return found - (tie & (found % 2 == 1)).to(found.dtype)

    def around(self, u: Tensor) -> tuple[Tensor, Tensor]:
        """Levels below and above."""
        levels = self.levels.to(u)
        below = (torch.bucketize(u, levels, right=True) - 1).clamp_(0, len(levels) - 2)
        return levels[below], levels[below + 1]

    def encode(self, level: Tensor) -> Tensor:
        """Positions."""
        return self.index(level).to(torch.int16)

    def decode(self, code: Tensor) -> Tensor:
        """Levels at these positions."""
        return self.levels.to(code.device, torch.float32)[code.long()]


def powers_of_two(bits: int) -> Tensor:
    """Ascending levels 0 and +-2^-i for i below 2^(bits - 1) - 1 (You et al. 2023, ShiftAddViT, section 3)."""
    sizes = [2.0**-i for i in range((1 << (bits - 1)) - 1)]
    return torch.tensor([*(-size for size in sizes), 0.0, *reversed(sizes)])


def uniform(bits: int) -> Tensor:
    """2^bits ascending levels from -1 to 1, equally far apart: where a codebook starts."""
    return torch.linspace(-1, 1, 1 << bits) if bits else torch.zeros(1)


@torch.no_grad()
def fitted(values: Tensor, levels: Tensor, steps: int = 50) -> Tensor:
    """``levels`` (k,) after ``steps`` of Lloyd's algorithm on ``values`` (any shape); never of a larger squared error.

    Levels that no value is near stay where they are.
    """
    flat, levels = values.flatten(), levels.to(values).clone()
    for _ in range(steps):
        index = Levels(levels).index(flat)
        count = torch.bincount(index, minlength=len(levels))
        total = torch.zeros_like(levels).index_add_(0, index, flat)
        levels = torch.where(count > 0, total / count.clamp(min=1), levels)
    return levels.sort()[0]
