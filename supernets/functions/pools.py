"""Pools. The padding of an outline that says none keeps ceil(size / stride) places; padded places count for nothing."""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional as F

from spaces import Layer
from supernets.forms import picture


def pool(layer: Layer, x: Tensor) -> Tensor:
    """The mean over all places: a vector."""
    if x.dim() == 2:
        return x
    return x.mean(dim=(2, 3)) if x.dim() == 4 else x.mean(dim=1)


def max_pool(layer: Layer, x: Tensor) -> Tensor:
    """The largest value in each window."""
    x, around = picture(x), pads(layer)
    if around[0] == around[1] == around[2]:
        return F.max_pool2d(x, layer.kernel, layer.stride, padding=around[0])
    return F.max_pool2d(F.pad(x, around, value=float("-inf")), layer.kernel, layer.stride)


def avg_pool(layer: Layer, x: Tensor) -> Tensor:
    """The mean of each window."""
    x, around = picture(x), pads(layer)
    if around[0] == around[1] == around[2] == around[3]:
        return F.avg_pool2d(x, layer.kernel, layer.stride, padding=around[0], count_include_pad=False)
    there = F.avg_pool2d(F.pad(x.new_ones(1, 1, *x.shape[2:]), around), layer.kernel, layer.stride)
    return F.avg_pool2d(F.pad(x, around), layer.kernel, layer.stride) / there


def pads(layer: Layer) -> list[int]:
    """Padding on the left, right, top, bottom. An even kernel has its middle on the right: more is added there."""
    if layer.padding is not None:
        return [layer.padding] * 4
    before = (layer.kernel - 1) // 2
    if layer.kernel % 2:
        return [before] * 4

    def after(size: int, out: int) -> int:
        return max(0, (out - 1) * layer.stride + layer.kernel - size - before)

    return [before, after(layer.w, layer.out_w), before, after(layer.h, layer.out_h)]
