"""Attention between tokens, and the fixed waves that say where a token stands (Vaswani et al. 2017)."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional as F

from spaces import Layer
from supernets.forms import alike, tokens


def attention(layer: Layer, queries: Tensor, keys: Tensor, values: Tensor) -> Tensor:
    """Scaled dot-product attention in ``heads`` heads (section 3.2).

    Head i takes the i-th part of the features. So where heads have a fixed width, fewer heads are the first ones; where
    their number is chosen for as many features, they part the same features otherwise. With ``kv_heads`` g consecutive
    heads of queries read one head of keys and values (grouped-query attention, Ainslie et al. 2023).
    """
    shared = layer.kv_heads or layer.heads
    q, k, v = (_heads(tokens(x), n) for x, n in ((queries, layer.heads), (keys, shared), (values, shared)))
    mixed = F.scaled_dot_product_attention(q, k, v, is_causal=layer.causal, enable_gqa=shared != layer.heads)
    return alike(queries, mixed.transpose(1, 2).flatten(2))


def _heads(x: Tensor, heads: int) -> Tensor:
    """(b, t, c) as (b, heads, t, c / heads)."""
    return x.reshape(*x.shape[:2], heads, -1).transpose(1, 2)


def sinusoid(layer: Layer, x: Tensor) -> Tensor:
    """Adds sines and cosines of the token's number (section 3.5), as of a network of so many features."""
    _, t, c = tokens(x).shape
    return x + alike(x, waves(t, c, x)[None])


def waves(t: int, c: int, like: Tensor | None = None) -> Tensor:
    """Sines and cosines (t, c), of the device and type of ``like``."""
    like = torch.zeros(()) if like is None else like
    steps = torch.arange(0, c, 2, device=like.device, dtype=like.dtype)
    angles = torch.arange(t, device=like.device, dtype=like.dtype)[:, None]
    angles = angles * torch.exp(steps * (-math.log(10_000) / c))
    return torch.stack([angles.sin(), angles.cos()], dim=2).flatten(1)[:, :c]
