"""Up or down is learned, weight by weight.

Source: Nagel et al. 2020 (AdaRound), section 3.2: the rectified sigmoid ``h``, stretched so that it reaches 0 and 1.
"""

from __future__ import annotations

import torch
from torch import Tensor

from supernets.quantization.formats import Number

_STRETCH, _SHIFT = 1.2, -0.1


def share(v: Tensor) -> Tensor:
    """How far up, in [0, 1]: ``h(v)``."""
    return (torch.sigmoid(v) * _STRETCH + _SHIFT).clamp(0, 1)


def start(number: Number, u: Tensor) -> Tensor:
    """The ``v`` at which nothing is rounded yet: ``h(v)`` is the distance of ``u`` from the level below."""
    below, above = number.around(u)
    part = ((u - below) / (above - below)).clamp(0.01, 0.99)
    return torch.logit((part - _SHIFT) / _STRETCH)


def learned(number: Number, u: Tensor, v: Tensor, hard: bool) -> Tensor:
    """Between the levels around ``u``, as far up as ``v`` says; ``hard``: one of the two. No gradient to ``u``."""
    below, above = number.around(u.detach())
    up = share(v)
    return below + (above - below) * ((up >= 0.5).to(up.dtype) if hard else up)


def undecided(v: Tensor, sharpness: float) -> Tensor:
    """The regulariser that pulls shares to 0 or 1: the sum of ``1 - |2 h(v) - 1|^sharpness`` (equation 24)."""
    return (1 - (2 * share(v) - 1).abs().pow(sharpness)).sum()
