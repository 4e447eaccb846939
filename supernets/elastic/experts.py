"""Several weights in one layer, mixed as the architecture says (Mixture-of-Supernets).

Source: Jawahar et al. 2023, "Mixture-of-Supernets": W(a) = sum_e r_e(a) W_e with r(a) the softmax of a small network of
the architecture's features; *layer*: one share per expert, *neuron*: one per expert and row. Differs: every convolution
and linear layer with a weight of its own has experts (there the feed-forward layers), one hidden layer serves the
routers of all of them, and the features are those of :meth:`spaces.Space.encode`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn

_HIDDEN = 64
ROUTINGS = ("layer", "neuron")


@dataclass(frozen=True)
class Mixture:
    """How many weights a layer has, and whether they are mixed as a whole (``layer``) or row by row (``neuron``)."""

    experts: int = 2
    routing: str = "neuron"

    def __str__(self) -> str:
        return f"{self.experts} experts per layer, mixed by {self.routing}"


class Router(nn.Module):
    """Features of an architecture (d,) -> for each layer the shares (experts, rows) or (experts, 1), of sum 1."""

    def __init__(self, features: int, rows: Mapping[str, int], mixture: Mixture) -> None:
        super().__init__()
        self.experts = mixture.experts
        self.hidden = nn.Sequential(nn.Linear(features, _HIDDEN), nn.ReLU())
        each = {path: count if mixture.routing == "neuron" else 1 for path, count in rows.items()}
        self.heads = nn.ModuleDict({path: nn.Linear(_HIDDEN, self.experts * n) for path, n in each.items()})

    def forward(self, features: Tensor, paths: Iterable[str]) -> dict[str, Tensor]:
        """The shares of the layers named."""
        like = next(self.parameters())
        hidden = self.hidden(features.to(like))
        return {path: self.heads[path](hidden).view(self.experts, -1).softmax(dim=0) for path in dict.fromkeys(paths)}


def mixed(parts: Iterable[Tensor], shares: Tensor) -> Tensor:
    """``parts`` (rows, ...) of the experts, weighted by their ``shares`` (experts, rows) or (experts, 1) and added."""
    weighted = [part * r.reshape(-1, *[1] * (part.dim() - 1)) for part, r in zip(parts, shares, strict=True)]
    return torch.stack(weighted).sum(dim=0) if len(weighted) > 2 else weighted[0] + weighted[1]
