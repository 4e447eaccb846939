"""Linear layer over the features of each place, elastic in its widths and weight precision."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from spaces import Layer, Record
from spaces.extent import Extent
from supernets.elastic.slices import linear_slice
from supernets.elastic.tokens import ElasticEmbedding
from supernets.elastic.weighted import ElasticWeighted


class ElasticLinear(ElasticWeighted):
    """Shapes: ``x`` (..., d_in) to (..., d_out). With ``owner`` it has the weight of that embedding."""

    weight: nn.Parameter

    def __init__(self, record: Record, most: Extent, owner: ElasticEmbedding | None = None) -> None:
        super().__init__()
        self._owner = () if owner is None else (owner,)  # in a tuple, torch does not take it for a part of this one
        if owner is None:
            bound = 1 / math.sqrt(most.c_in)
            self.weight = nn.Parameter(torch.empty(most.c_out, most.c_in).uniform_(-bound, bound))
        self.bias = nn.Parameter(torch.zeros(most.c_out)) if record.bias else None
        self.norm = None

    @property
    def full(self) -> Tensor:
        """(D_out, D_in)."""
        return self._owner[0].weight if self._owner else self.weight

    def sliced(self, weight: Tensor, layer: Layer) -> Tensor:
        """(d_out, d_in)."""
        return linear_slice(weight, layer.c_out, layer.c_in, layer.channels)

    def compute(self, x: Tensor, weight: Tensor, bias: Tensor | None, layer: Layer) -> Tensor:
        """The layer alone."""
        return F.linear(x, weight, bias)
