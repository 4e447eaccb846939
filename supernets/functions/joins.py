"""Layers of several inputs, and those that pick one."""

from __future__ import annotations

import torch
from torch import Tensor

from spaces import Layer
from supernets.forms import alike, picture


def add(layer: Layer, x: Tensor, *others: Tensor) -> Tensor:
    """The sum of all inputs."""
    for other in others:
        x = x + alike(x, other)
    return x


def multiply(layer: Layer, x: Tensor, gate: Tensor) -> Tensor:
    """By the second input, which may have one place: one factor per channel."""
    return x * alike(x, gate)


def concat(layer: Layer, x: Tensor, *others: Tensor) -> Tensor:
    """Channels of one after those of the other."""
    return torch.cat([x, *(alike(x, other) for other in others)], dim=-1 if x.dim() < 4 else 1)


def append(layer: Layer, x: Tensor, *others: Tensor) -> Tensor:
    """Tokens of one after those of the other."""
    return torch.cat([x, *(alike(x, other) for other in others)], dim=2 if x.dim() == 4 else 1)


def channel(layer: Layer, x: Tensor | tuple[Tensor, ...]) -> Tensor:
    """One of several inputs (b, t), or one of the sequences of (b, sequences, t)."""
    return x[layer.rows] if isinstance(x, tuple) else x[:, layer.rows]


def zero(layer: Layer, x: Tensor) -> Tensor:
    """Zeros in the shape of the output."""
    x = picture(x)
    return x.new_zeros(len(x), layer.c_out, layer.out_h, layer.out_w)
