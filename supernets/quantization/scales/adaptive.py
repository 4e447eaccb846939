"""The rule of this platform: all of the range where codes are many, most of it where they are few."""

from __future__ import annotations

import torch
from torch import Tensor

from spaces import QuantSpec
from supernets.quantization.scales.base import SMALLEST, Grid, between, upto

_FEW_BITS = 4


def adaptive(rows: Tensor, spec: QuantSpec, role: str, parameter: float) -> Grid:
    """Above 4 bits, and for all but weights, the whole range: absmax, or min-max where there is an offset.

    At 4 bits and below a large weight would waste the few codes, so the step is ``2 mean|w| / sqrt(highest code)``: the
    start value of learned steps (Esser et al. 2020, "Learned Step Size Quantization", section 2.1), here recomputed
    from the slice instead of learned, so that it fits every width. With an offset it is that of the distances from the
    mean, which is put in the middle of the codes.
    """
    rows = rows.detach()
    few = role == "weight" and spec.bits <= _FEW_BITS
    if spec.offset == "none":
        magnitude = rows.abs()
        if few:
            return (2.0 * magnitude.mean(dim=1) / spec.format.high**0.5).clamp_min(SMALLEST), None
        return upto(magnitude.amax(dim=1), spec)
    if not few:
        return between(*torch.aminmax(rows, dim=1), spec)
    half = (spec.highest - spec.lowest) / 2
    mean = rows.mean(dim=1)
    step = (2.0 * (rows - mean[:, None]).abs().mean(dim=1) / half**0.5).clamp_min(SMALLEST)
    return step, spec.lowest + half - mean / step
