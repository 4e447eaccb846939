"""Gradients: what takes the place of a rounding's derivative."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from supernets.quantization.gradients.base import Gradient
from supernets.quantization.gradients.biper import BiPer
from supernets.quantization.gradients.clipped import Clipped
from supernets.quantization.gradients.polynomial import Polynomial
from supernets.quantization.gradients.reste import ReSTE, exponent
from supernets.quantization.gradients.ste import StraightThrough

GRADIENTS: Mapping[str, Callable[[float], Gradient]] = {
    "biper": BiPer,
    "clipped": Clipped,
    "polynomial": Polynomial,
    "reste": ReSTE,
    "ste": StraightThrough,
}

__all__ = ["GRADIENTS", "Gradient", "exponent"]
