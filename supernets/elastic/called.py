"""Layers of a traced network: their slices are the ranges that come with the layer."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from spaces import Layer, Record
from spaces.axis import Ranges
from spaces.extent import Extent
from supernets.elastic.base import ElasticLayer
from supernets.elastic.batch_norm import ElasticBatchNorm
from supernets.elastic.slices import channel_slice, part
from supernets.elastic.weighted import ElasticWeighted, Once, anew
from supernets.functions.calls import named
from supernets.functions.operations import operation

_LEAST_GAIN = 1e-3


class SignedBatchNorm(ElasticBatchNorm):
    """As the user's: gains may be negative, and zero, but for integer weights, whose scales must not vanish.

    ``running_mean`` and ``running_var`` are the user's statistics, which are those of the largest subnet.
    """

    running_mean: Tensor
    running_var: Tensor

    def __init__(self, channels: int, epsilon: float) -> None:
        super().__init__(channels, epsilon)
        self.register_buffer("running_mean", torch.zeros(channels))
        self.register_buffer("running_var", torch.ones(channels))

    def gain(self, c: int, channels: Ranges | None = None, integer: bool = False) -> Tensor:
        """(c,) gains."""
        gain = channel_slice(self.weight, c, channels)
        return torch.where(gain < 0, gain.clamp_max(-_LEAST_GAIN), gain.clamp_min(_LEAST_GAIN)) if integer else gain


class WrappedWeighted(ElasticWeighted):
    """A convolution or a linear layer, called as the user's model calls it. With ``owner`` it has the weight of that.

    Shapes: as the operation's.
    """

    def __init__(self, record: Record, most: Extent, owner: ElasticLayer | None = None) -> None:
        super().__init__()
        assert record.call is not None
        self._owner = () if owner is None else (owner,)  # in a tuple, torch does not take it for a part of this one
        sizes = [axis.most for axis in record.call.weight]
        if owner is None:
            bound = 1 / math.sqrt(max(1, math.prod(sizes[1:])))
            self.weight = nn.Parameter(torch.empty(sizes).uniform_(-bound, bound))
        self.bias = nn.Parameter(torch.zeros(sizes[0])) if record.bias else None
        self.norm = SignedBatchNorm(sizes[0], record.call.eps) if record.norm else None

    @property
    def full(self) -> Tensor:
        """The largest weight, as the operation takes it."""
        weight = self._owner[0].weight if self._owner else self.weight
        assert isinstance(weight, Tensor)
        return weight

    def sliced(self, weight: Tensor, layer: Layer) -> Tensor:
        """Its ranges."""
        assert layer.call is not None
        return part(weight, layer.call.ranges)

    def compute(self, x: Tensor, weight: Tensor, bias: Tensor | None, layer: Layer) -> Tensor:
        """The layer alone."""
        assert layer.call is not None
        said = layer.call.call
        y: Tensor = operation(said.op)(x, weight, bias, *said.args)
        return y

    def rows(self, layer: Layer) -> Ranges | None:
        assert layer.call is not None
        return layer.call.ranges[0]


class WrappedNorm(ElasticWeighted):
    """A batch norm that follows no convolution of its own. Shapes: (b, c, ...), unchanged."""

    def __init__(self, record: Record, most: Extent) -> None:
        super().__init__()
        assert record.call is not None
        self.bias = None
        self.norm = SignedBatchNorm(record.call.weight[0].most, record.call.eps)

    def linear_part(self, x: Tensor, layer: Layer, shares: Tensor | None = None, once: Once = anew) -> Tensor:
        """``x`` itself."""
        return x

    def rows(self, layer: Layer) -> Ranges | None:
        assert layer.call is not None
        return layer.call.ranges[0]


class ElasticParameter(ElasticLayer):
    """A parameter, or a constant, that operations read. Shapes: any to those of its slice."""

    weight: Tensor

    def __init__(self, record: Record, most: Extent) -> None:
        super().__init__()
        assert record.call is not None
        value = torch.zeros([axis.most for axis in record.call.weight], dtype=named(record.call.dtype))
        if record.call.buffer:
            self.register_buffer("weight", value)
        else:
            self.weight = nn.Parameter(value)

    def parts(self, layer: Layer) -> dict[str, Tensor]:
        """The slice."""
        assert layer.call is not None
        return {"weight": part(self.weight, layer.call.ranges)}

    def forward(self, x: Tensor, layer: Layer) -> Tensor:
        """The slice, whatever ``x``."""
        return self.parts(layer)["weight"]
