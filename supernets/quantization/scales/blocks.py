"""Scales of small blocks that are small floats themselves.

Sources: OCP microscaling formats 1.0 (2023), section 6.3, for powers of two; NVIDIA's NVFP4 (2025) for E4M3 scales over
a float scale of the tensor.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from spaces import QuantSpec
from spaces.precision.forms import format_of
from supernets.quantization.formats import number
from supernets.quantization.scales.base import SMALLEST, Grid

_LEAST, _MOST = -127, 127  # exponents of E8M0
_E4M3 = format_of("e4m3", 8, True)


def mx(rows: Tensor, spec: QuantSpec, role: str, parameter: float) -> Grid:
    """``2^(floor(log2 max|x|) - exponent of the largest level)``: the largest values may be clipped."""
    most = _most(rows)
    return _power(most, torch.frexp(most)[1] - 1 - math.floor(math.log2(spec.format.high))), None


def mxceil(rows: Tensor, spec: QuantSpec, role: str, parameter: float) -> Grid:
    """``2^ceil(log2(max|x| / largest level))``: nothing is clipped."""
    share = _most(rows) / spec.format.high
    fraction, exponent = torch.frexp(share)
    return _power(share, exponent - (fraction == 0.5).to(exponent.dtype)), None


def nv(rows: Tensor, spec: QuantSpec, role: str, parameter: float) -> Grid:
    """An E4M3 number per block times a float of the whole tensor, which makes the largest of them E4M3's largest."""
    most = _most(rows)
    whole = (most.max() / (_E4M3.high * spec.format.high)).clamp_min(SMALLEST**2)
    least = 2.0**-9  # E4M3's smallest: a block of zeros needs a step too
    return number(_E4M3).nearest(most / spec.format.high / whole).clamp_min(least) * whole, None


def _most(rows: Tensor) -> Tensor:
    return rows.detach().abs().amax(dim=1)


def _power(like: Tensor, exponent: Tensor) -> Tensor:
    """Two to these powers; of a block of zeros two to the least."""
    exponent = torch.where(like == 0, torch.full_like(exponent, -20), exponent)
    return torch.ldexp(torch.ones_like(like), exponent.clamp(_LEAST, _MOST))
