"""What a rounding is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from supernets.quantization.formats import Number

Draws = torch.Generator | None
"""Where random numbers come from; ``None`` is torch's own generator."""
Round = Callable[[Number, Tensor, Draws], Tensor]
"""(format, values in units of the step, draws) -> levels, or what stands for them in training; same shape."""


@dataclass(frozen=True)
class Rounding:
    """``training`` may be random; ``evaluation`` gives levels of the format, and is what an export holds."""

    training: Round
    evaluation: Round
