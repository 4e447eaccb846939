"""Signs: -1 is code 0 and 1 is code 1; the sign of 0 is 1."""

from __future__ import annotations

import torch
from torch import Tensor


class Binary:
    """Levels -1 and 1."""

    def nearest(self, u: Tensor) -> Tensor:
        """The sign, of 0 as of positive values: a third level appears in code that uses ``torch.sign``."""
        return (u >= 0).to(u.dtype).mul_(2).sub_(1)

    def around(self, u: Tensor) -> tuple[Tensor, Tensor]:
        """Always the two levels."""
        return torch.full_like(u, -1), torch.ones_like(u)

    def encode(self, level: Tensor) -> Tensor:
        """0 or 1."""
        return (level > 0).to(torch.int16)

    def decode(self, code: Tensor) -> Tensor:
        """-1 or 1."""
        return code.to(torch.float32) * 2 - 1
