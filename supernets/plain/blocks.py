"""Small layers that torch has not: learned positions, a class token, a linear layer with an embedding's weight."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

RMS_EPSILON = 1e-5
"""Added to the mean square in RMS norms; torch's own depends on the type. The paper has none."""


def with_positions(x: Tensor, weight: Tensor) -> Tensor:
    """``x``, tokens (b, t, c) or a picture (b, c, h, w), plus ``weight`` (h, w, c); fewer tokens are the first."""
    if x.dim() == 3:
        return x + weight[: x.shape[1], 0]
    return x + (weight.permute(2, 0, 1) if x.dim() == 4 else weight.flatten())


def with_class_token(x: Tensor, weight: Tensor) -> Tensor:
    """The token ``weight`` (c,) before those of ``x`` (b, t, c)."""
    return torch.cat([weight.expand(len(x), 1, -1), x], dim=1)


class Position(nn.Module):
    """A learned vector for each place. Shapes: tokens (b, t, c) or a picture (b, c, h, w), unchanged."""

    def __init__(self, h: int, w: int, c: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(h, w, c))

    def forward(self, x: Tensor) -> Tensor:
        """``x`` plus the vectors of its places."""
        return with_positions(x, self.weight)

    def extra_repr(self) -> str:
        """Places and features."""
        return "x".join(map(str, self.weight.shape))


class ClassToken(nn.Module):
    """A learned token before the others. Shapes: (b, t, c) to (b, t + 1, c)."""

    def __init__(self, c: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(c))

    def forward(self, x: Tensor) -> Tensor:
        """The token, then those of ``x``."""
        return with_class_token(x, self.weight)

    def extra_repr(self) -> str:
        """Features."""
        return str(len(self.weight))


class TiedLinear(nn.Module):
    """A linear layer whose weight (d_out, d_in) is that of another module. Shapes: (..., d_in) to (..., d_out)."""

    def __init__(self, embedding: nn.Module, bias: bool) -> None:
        super().__init__()
        self._embedding = (embedding,)  # in a tuple, torch does not take it for a part of this layer
        weight = self.weight
        self.bias = nn.Parameter(torch.zeros(len(weight), dtype=weight.dtype)) if bias else None

    @property
    def weight(self) -> Tensor:
        """The other module's."""
        weight = self._embedding[0].weight
        assert isinstance(weight, Tensor)
        return weight

    def forward(self, x: Tensor) -> Tensor:
        """The layer applied to ``x``."""
        return F.linear(x, self.weight, self.bias)

    def extra_repr(self) -> str:
        """Sizes, as of torch's."""
        rows, features = self.weight.shape
        return f"in_features={features}, out_features={rows}, bias={self.bias is not None}, weight of the embedding"


class Held(nn.Module):
    """A parameter, or with ``buffer`` a constant, that operations read. Shapes: any to ``sizes``."""

    weight: Tensor

    def __init__(self, sizes: Sequence[int], dtype: torch.dtype, buffer: bool) -> None:
        super().__init__()
        value = torch.zeros(tuple(sizes), dtype=dtype)
        if buffer:
            self.register_buffer("weight", value)
        else:
            self.weight = nn.Parameter(value)

    def forward(self, x: Tensor) -> Tensor:
        """The parameter, whatever ``x``."""
        return self.weight

    def extra_repr(self) -> str:
        """Sizes."""
        return "x".join(map(str, self.weight.shape))
