"""Convolution, elastic in width, kernel, groups and weight precision."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from spaces import Layer, Record
from spaces.axis import Ranges
from spaces.extent import Extent
from supernets.elastic.batch_norm import ElasticBatchNorm
from supernets.elastic.slices import conv_slice
from supernets.elastic.weighted import ElasticWeighted
from supernets.plain.fresh import padding


class ElasticConv(ElasticWeighted):
    """Shapes: ``x`` (b, c_in, h, w) to (b, c_out, h', w'). With a norm it has no bias of its own."""

    def __init__(self, record: Record, most: Extent) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(most.c_out, most.terms, most.kernel, most.kernel))
        nn.init.kaiming_normal_(self.weight, mode="fan_out", nonlinearity="relu")
        self.norm = ElasticBatchNorm(most.c_out) if record.norm else None
        self.bias = nn.Parameter(torch.zeros(most.c_out)) if record.bias and not record.norm else None

    @property
    def full(self) -> Tensor:
        """(C_out, C_in / groups, K, K)."""
        return self.weight

    def sliced(self, weight: Tensor, layer: Layer) -> Tensor:
        """(c_out, c_in / groups, k, k)."""
        columns = layer.channels if layer.groups == 1 else None
        return conv_slice(weight, layer.c_out, layer.c_in // layer.groups, layer.kernel, self.rows(layer), columns)

    def compute(self, x: Tensor, weight: Tensor, bias: Tensor | None, layer: Layer) -> Tensor:
        """The convolution alone."""
        return F.conv2d(x, weight, bias, layer.stride, padding(layer), layer.dilation, layer.groups)

    def rows(self, layer: Layer) -> Ranges | None:
        return layer.channels if layer.groups == layer.c_in == layer.c_out else None
