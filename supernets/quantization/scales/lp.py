"""The range is searched: shrunk step by step, the one of the smallest error is kept."""

from __future__ import annotations

import torch
from torch import Tensor

from spaces import QuantSpec
from supernets.quantization.formats import Integers, number
from supernets.quantization.scales.base import Grid, between, upto

_STEPS = 80


@torch.no_grad()
def lp(rows: Tensor, spec: QuantSpec, role: str, parameter: float) -> Grid:
    """The range of absmax or min-max less 0, 1, ..., 79 percent, whichever makes the mean of ``|x - q(x)|^p`` smallest.

    ``parameter`` is p. Source: Xu et al. 2023 (EQ-Net), section 3.2, and its code, which tries fewer steps in one case.
    """
    rows = rows.detach()
    low, high = torch.aminmax(rows, dim=1)
    least = rows.new_full((len(rows),), torch.inf)
    best, best_zero = rows.new_ones(len(rows)), None if spec.offset == "none" else rows.new_zeros(len(rows))
    for i in range(_STEPS):
        kept = 1 - i / 100
        symmetric = spec.offset == "none"
        step, zero = (
            upto(torch.maximum(-low, high) * kept, spec) if symmetric else between(low * kept, high * kept, spec)
        )
        error = (rounded(rows, step, zero, spec) - rows).abs_().pow_(parameter).mean(dim=1)
        better = error < least
        least, best = torch.where(better, error, least), torch.where(better, step, best)
        if zero is not None and best_zero is not None:
            best_zero = torch.where(better, zero, best_zero)
    return best, best_zero


def rounded(rows: Tensor, step: Tensor, zero: Tensor | None, spec: QuantSpec) -> Tensor:
    """``rows`` (k, m) on the nearest levels of a grid, the zero-point rounded unless it is to be real."""
    column = step[:, None]
    if zero is None:
        return number(spec.format).nearest(rows / column) * column
    zero = (zero if spec.offset == "real" else zero.round())[:, None]
    levels = Integers(spec.format.low, spec.format.high).nearest(rows / column + zero)
    return (levels - zero) * column
