"""ONNX forms of layers: one function per kind, from the writer, the resolved layer, its module and the output's name.

A function writes the layer up to its activation function, as floats, and says in which form the output lies.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from torch import nn

from spaces import Layer
from supernets.export.kinds import attention, joins, pools, reshapes, tokens, weighted
from supernets.export.kinds.activations import ACTIVATIONS
from supernets.export.writer import GraphWriter

Emit = Callable[[GraphWriter, Layer, nn.Module | None, str], str]

KINDS: Mapping[str, Emit] = {
    "activation": reshapes.activation,
    "add": joins.add,
    "append": joins.append,
    "attention": attention.attention,
    "avg_pool": pools.avg_pool,
    "channel": joins.channel,
    "class_token": tokens.class_token,
    "concat": joins.concat,
    "conv": weighted.conv,
    "embedding": tokens.embedding,
    "first": reshapes.first,
    "flatten": reshapes.flatten,
    "linear": weighted.linear,
    "max_pool": pools.max_pool,
    "multiply": joins.multiply,
    "norm": tokens.norm,
    "pool": pools.pool,
    "position": tokens.position,
    "rms_norm": tokens.norm,
    "rotary": attention.rotary,
    "shuffle": reshapes.shuffle,
    "sinusoid": attention.sinusoid,
    "tokens": reshapes.tokens,
    "upsample": reshapes.upsample,
    "zero": joins.zero,
}

__all__ = ["ACTIVATIONS", "KINDS", "Emit"]
