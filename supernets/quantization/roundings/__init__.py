"""Roundings: from values in units of the step to levels of a format."""

from __future__ import annotations

from collections.abc import Mapping

from supernets.quantization.roundings.base import Draws, Rounding
from supernets.quantization.roundings.geometric import geometric
from supernets.quantization.roundings.learned import learned, share, start, undecided
from supernets.quantization.roundings.nearest import nearest
from supernets.quantization.roundings.noise import gaussian, uniform
from supernets.quantization.roundings.stochastic import stochastic

ROUNDINGS: Mapping[str, Rounding] = {
    "adaround": Rounding(nearest, nearest),  # with its table of shares ``learned`` takes its place
    "gaussian": Rounding(gaussian, nearest),
    "geometric": Rounding(geometric, geometric),
    "nearest": Rounding(nearest, nearest),
    "noise": Rounding(uniform, nearest),
    "stochastic": Rounding(stochastic, nearest),
}

__all__ = ["ROUNDINGS", "Draws", "Rounding", "learned", "nearest", "share", "start", "undecided"]
