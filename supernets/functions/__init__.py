"""What layers without weights compute: one function per kind, from the resolved layer and its inputs."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from torch import Tensor

from supernets.functions import attention, calls, joins, pools, reshapes
from supernets.functions.activations import ACTIVATIONS

FUNCTIONS: Mapping[str, Callable[..., Tensor]] = {
    "activation": reshapes.activation,
    "add": joins.add,
    "append": joins.append,
    "attention": attention.attention,
    "avg_pool": pools.avg_pool,
    "call": calls.call,
    "channel": joins.channel,
    "concat": joins.concat,
    "first": reshapes.first,
    "flatten": reshapes.flatten,
    "max_pool": pools.max_pool,
    "multiply": joins.multiply,
    "output": calls.output,
    "pool": pools.pool,
    "rotary": attention.rotary,
    "shuffle": reshapes.shuffle,
    "sinusoid": attention.sinusoid,
    "tokens": reshapes.tokens,
    "upsample": reshapes.upsample,
    "zero": joins.zero,
}

__all__ = ["ACTIVATIONS", "FUNCTIONS"]
