"""Layers of sequences: norm over features, embedding, learned positions, class token; each a prefix of its features."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from spaces import Layer, Record
from spaces.extent import Extent
from supernets.elastic.base import ElasticLayer
from supernets.elastic.slices import channel_slice, linear_slice
from supernets.plain.blocks import RMS_EPSILON, with_class_token, with_positions

_SPREAD = 0.02  # standard deviation of what is learned once for all inputs (Radford et al. 2019)


class ElasticNorm(ElasticLayer):
    """Layer norm over the active features (Ba et al. 2016): the statistics are theirs alone. Shapes: (..., c)."""

    def __init__(self, record: Record, most: Extent) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(most.c_in))
        self.bias = nn.Parameter(torch.zeros(most.c_in))

    def parts(self, layer: Layer) -> dict[str, Tensor]:
        """Gain and bias (c,)."""
        return {n: channel_slice(v, layer.c_in, layer.channels) for n, v in self.named_parameters()}

    def forward(self, x: Tensor, layer: Layer) -> Tensor:
        """``x`` normalised."""
        parts = self.parts(layer)
        return F.layer_norm(x, (layer.c_in,), parts["weight"], parts["bias"])


class ElasticRMSNorm(ElasticLayer):
    """RMS norm over the active features (Zhang & Sennrich 2019, equation 4). Shapes: (..., c)."""

    def __init__(self, record: Record, most: Extent) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(most.c_in))

    def parts(self, layer: Layer) -> dict[str, Tensor]:
        """Gain (c,)."""
        return {"weight": channel_slice(self.weight, layer.c_in, layer.channels)}

    def forward(self, x: Tensor, layer: Layer) -> Tensor:
        """``x`` over the root of its mean square."""
        return F.rms_norm(x, (layer.c_in,), self.parts(layer)["weight"], RMS_EPSILON)


class ElasticEmbedding(ElasticLayer):
    """A row of features for each token number. Shapes: (b, t) whole numbers to (b, t, c)."""

    def __init__(self, record: Record, most: Extent) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(most.rows, most.c_out) * most.c_out**-0.5)

    def parts(self, layer: Layer) -> dict[str, Tensor]:
        """The first rows and features (rows, c)."""
        return {"weight": linear_slice(self.weight, layer.rows, layer.c_out)}

    def forward(self, x: Tensor, layer: Layer) -> Tensor:
        """The features of each number."""
        return F.embedding(x, self.parts(layer)["weight"])


class ElasticPosition(ElasticLayer):
    """A learned vector for each place; of fewer places the first rows and columns. Shapes: unchanged."""

    def __init__(self, record: Record, most: Extent) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(most.h, most.w, most.c_in) * _SPREAD)

    def parts(self, layer: Layer) -> dict[str, Tensor]:
        """(h, w, c)."""
        if layer.h > self.weight.shape[0] or layer.w > self.weight.shape[1]:
            raise ValueError(f"no slice of {layer.h}x{layer.w} places in positions of {tuple(self.weight.shape[:2])}")
        return {"weight": channel_slice(self.weight, layer.c_in, layer.channels)[: layer.h, : layer.w]}

    def forward(self, x: Tensor, layer: Layer) -> Tensor:
        """``x`` plus the vectors of its places."""
        return with_positions(x, **self.parts(layer))


class ElasticClassToken(ElasticLayer):
    """A learned token before the others. Shapes: (b, t, c) to (b, t + 1, c)."""

    def __init__(self, record: Record, most: Extent) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(most.c_in) * _SPREAD)

    def parts(self, layer: Layer) -> dict[str, Tensor]:
        """(c,)."""
        return {"weight": channel_slice(self.weight, layer.c_in, layer.channels)}

    def forward(self, x: Tensor, layer: Layer) -> Tensor:
        """The token, then those of ``x``."""
        return with_class_token(x, **self.parts(layer))
