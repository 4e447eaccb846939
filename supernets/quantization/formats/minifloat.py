"""Small floats: integer rounding by a step that depends on the value's exponent.

Source: OCP 8-bit floating point (2023) and microscaling formats (2023); Kuzmin et al. 2022, "FP8 Quantization: The
Power of the Exponent", section 4.1, for the closed form. Values beyond the largest are clipped to it, none becomes an
infinity. Codes are the bit patterns: sign, exponent, mantissa; -0 has the sign's pattern, as ``ml_dtypes`` has it.
"""

from __future__ import annotations

import torch
from torch import Tensor


class Minifloat:
    """Floats of a sign, ``exponent`` and ``mantissa`` bits, up to ``high``."""

    def __init__(self, exponent: int, mantissa: int, high: float) -> None:
        self.exponent, self.mantissa, self.high = exponent, mantissa, high
        self.bias = (1 << (exponent - 1)) - 1
        self.least = 1 - self.bias  # exponent of subnormal and of the smallest normal values

    def nearest(self, u: Tensor) -> Tensor:
        """Round half to the even mantissa, clipped."""
        clipped = u.clamp(-self.high, self.high)
        step = self._step(clipped)
        return (clipped / step).round_().mul_(step)

    def around(self, u: Tensor) -> tuple[Tensor, Tensor]:
        """Levels below and above; below zero the upper one may belong to a smaller exponent."""
        clipped = u.clamp(-self.high, self.high)
        step = self._step(clipped)
        below = (clipped / step).floor_().mul_(step)
        top = self.high - self._step(torch.full((), self.high, dtype=u.dtype, device=u.device))
        below = below.clamp_(max=float(top))
        return below, below + self._step_above(below)

    def _step(self, u: Tensor) -> Tensor:
        """Distance of the levels in each value's binade; a look-up, as ``exp2`` is not exact everywhere."""
        exponents = torch.frexp(u)[1].sub_(1 + self.least).clamp_(min=0)  # of 0 too, where frexp gives 0
        exponents.mul_(u != 0)
        powers = [2.0 ** (self.least + i - self.mantissa) for i in range((1 << self.exponent) + 1)]
        return torch.tensor(powers, dtype=u.dtype, device=u.device)[exponents.long()]

    def _step_above(self, below: Tensor) -> Tensor:
        """Distance to the next level: of a negative power of two that of the smaller exponent."""
        nudged = torch.where(below < 0, below + self._step(below) / 4, below)
        return self._step(nudged)

    def encode(self, level: Tensor) -> Tensor:
        """Bit patterns."""
        level = level.to(torch.float32)
        size = level.abs()
        exponents = torch.frexp(size)[1].sub_(1).clamp_(min=self.least)
        exponents = torch.where(size == 0, torch.full_like(exponents, self.least), exponents)
        fraction = torch.ldexp(size, self.mantissa - exponents)  # below 2^mantissa for subnormal values
        pattern = (exponents - self.least) * (1 << self.mantissa) + fraction.to(torch.int32)
        sign = torch.signbit(level).to(torch.int32) << (self.exponent + self.mantissa)
        return (pattern | sign).to(torch.int16)

    def decode(self, code: Tensor) -> Tensor:
        """Values of bit patterns; those of NaN and infinity would be what comes after the largest value."""
        code = code.to(torch.int32)
        field = (code >> self.mantissa) & ((1 << self.exponent) - 1)
        fraction = code & ((1 << self.mantissa) - 1)
        whole = fraction + (field > 0).to(torch.int32) * (1 << self.mantissa)
        size = torch.ldexp(whole.to(torch.float32), field.clamp(min=1) - self.bias - self.mantissa)
        return torch.where((code >> (self.exponent + self.mantissa)) > 0, -size, size)
