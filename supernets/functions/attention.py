"""Attention between tokens, and the fixed waves and turns that say where a token stands (Vaswani et al. 2017)."""

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
    their number is chosen for as many features, or their width, they part the same features otherwise. With
    ``kv_heads`` g consecutive heads of queries read one head of keys and values (grouped-query attention, Ainslie et
    al. 2023).
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
    found = angles(t, c, like)
    return torch.stack([found.sin(), found.cos()], dim=2).flatten(1)[:, :c].to(like.dtype)


def angles(t: int, c: int, like: Tensor) -> Tensor:
    """Token's number times 10000^(-2i / c) for i below c / 2, (t, c / 2 rounded up), at least in single precision."""
    dtype = torch.promote_types(like.dtype, torch.float32)  # half precision has no numbers of tokens beyond 256
    steps = torch.arange(0, c, 2, device=like.device, dtype=dtype)
    return torch.arange(t, device=like.device, dtype=dtype)[:, None] * torch.exp(steps * (-math.log(10_000) / c))


def rotary(layer: Layer, x: Tensor) -> Tensor:
    """Turns each pair of neighbouring features of each head by its angle (RoFormer, Su et al. 2021, equation 34).

    The angles depend on the head's width and the token's number alone. Pairs are features 2i and 2i + 1, as published,
    and not those of the two halves of a head: so two rows of a weight that are a pair are one in heads of any width.
    """
    features = tokens(x)
    b, t, c = features.shape
    found = angles(t, c // layer.heads, x)[:, None]
    cos, sin = found.cos().to(x.dtype), found.sin().to(x.dtype)
    even, odd = features.reshape(b, t, layer.heads, -1, 2).unbind(dim=4)
    return alike(x, torch.stack([even * cos - odd * sin, even * sin + odd * cos], dim=4).flatten(2))
