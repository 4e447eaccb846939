"""Layers that move values and change none, and those that repeat them."""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional as F

from spaces import Layer
from supernets import forms
from supernets.forms import picture


def activation(layer: Layer, x: Tensor) -> Tensor:
    """Its input: the function is a field of every layer."""
    return x


def flatten(layer: Layer, x: Tensor) -> Tensor:
    """All values as one vector (b, c h w), channel by channel."""
    return (x.transpose(1, 2) if x.dim() == 3 else x).flatten(1)


def tokens(layer: Layer, x: Tensor) -> Tensor:
    """Places become tokens, row by row."""
    return forms.tokens(x)


def first(layer: Layer, x: Tensor) -> Tensor:
    """The first token: a vector."""
    return forms.tokens(x)[:, 0]


def upsample(layer: Layer, x: Tensor) -> Tensor:
    """Each place ``stride`` x ``stride`` times."""
    return F.interpolate(picture(x), scale_factor=layer.stride, mode="nearest")


def shuffle(layer: Layer, x: Tensor) -> Tensor:
    """Pixel shuffle (Shi et al. 2016): ``stride`` squared channels become one, ``stride`` times as high and wide."""
    return F.pixel_shuffle(picture(x), layer.stride)
