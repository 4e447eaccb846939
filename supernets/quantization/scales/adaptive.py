"""Scales: from the values of a tensor to the step between its codes."""

from __future__ import annotations

import torch
from torch import Tensor

from spaces import QuantSpec

_SMALLEST_SCALE = 1e-6  # a channel of zeros still needs a step; small enough to change nothing else


def weight_scale(weight: Tensor, spec: QuantSpec) -> Tensor:
    """Step per output channel (c_out,) of the *active* slice ``weight`` (c_out, ...).

    Above 4 bits the largest magnitude is the last code. At 4 bits and below a large outlier would waste the few
    codes, so the step is ``2 mean|w| / sqrt(highest code)``: the start value of learned step sizes (Esser et al. 2020,
    "Learned Step Size Quantization", section 2.1), here recomputed from the slice instead of learned, so that it fits
    every width.
    """
    magnitude = weight.detach().abs().flatten(1)
    absmax, start = magnitude.amax(dim=1) / spec.highest, 2.0 * magnitude.mean(dim=1) / spec.highest**0.5
    return (absmax if spec.bits > 4 else start).clamp_min(_SMALLEST_SCALE)


def activation_grid(low: Tensor, high: Tensor, spec: QuantSpec) -> tuple[Tensor, Tensor]:
    """(scale, integer zero-point int32), scalars, for values in [low, high].

    Zero is always on the grid (padding and ReLU need it), and after a ReLU the zero-point is 0: the bottom of the
    range, where the clip of the integer kernel is the ReLU.
    """
    low, high = low.clamp_max(0.0), high.clamp_min(0.0)
    scale = ((high - low) / spec.highest).clamp_min(_SMALLEST_SCALE)
    zero_point = torch.round(-low / scale).clamp(0, spec.highest).to(torch.int32)
    return scale, zero_point


def narrowed(scale: Tensor, zero_point: Tensor, stored: QuantSpec, spec: QuantSpec) -> tuple[Tensor, Tensor]:
    """(scale, zero-point) of ``spec`` over the range of a grid of ``stored``; that grid itself if bits are equal.

    A tensor is stored once, in the bits that its widest reader wants; a reader of fewer bits rounds it again.
    """
    if spec.bits == stored.bits:
        return scale, zero_point
    low, high = (stored.lowest - zero_point) * scale, (stored.highest - zero_point) * scale
    return activation_grid(low, high, spec)
