"""Channels in the order of their importance, so that a prefix keeps what matters.

Source: Cai et al. 2020, "Once-for-All", section 3.3 (channel sorting by the L1 norm of their weights). Differs: the sum
is over every weight that reads or makes the channel.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from spaces.axis import Axis

if TYPE_CHECKING:
    from supernets.wrapping.wrap import Wrapped


@torch.no_grad()
def reorder(net: Wrapped) -> None:
    """Sort the places of every choice of width, the most important first; what the largest subnet computes stays."""
    depths = {c.name: len(c.values) for c in net.space.choices}
    tensors = list(_tensors(net))
    importance: dict[str, Tensor] = {}
    for tensor, axes, counted in tensors:
        for dim, axis in enumerate(axes):
            for name, sums in _sums(tensor, dim, axis) if counted else ():
                importance[name] = importance.get(name, 0) + sums
    order = {
        name: values.argsort(descending=True, stable=True) for name, values in importance.items() if name in depths
    }
    for tensor, axes, _ in tensors:
        for dim, axis in enumerate(axes):
            if set(axis.names) & set(order):
                tensor.copy_(tensor.index_select(dim, _places(axis, order)))


def _tensors(net: Wrapped) -> Iterator[tuple[Tensor, tuple[Axis, ...], bool]]:
    """Everything with axes, and whether it counts: weights do, of layers that are used more than once one time."""
    seen: set[int] = set()
    for record in net.outline.records:
        if record.kind not in ("conv", "linear", "batch_norm", "parameter") or record.call is None:
            continue
        layer, axes = net.layer(record.path), record.call.weight
        for name, tensor in (*layer.named_parameters(), *layer.named_buffers()):
            if id(tensor) not in seen:
                seen.add(id(tensor))
                counted = name == "weight" and record.kind in ("conv", "linear")
                yield tensor, axes if name == "weight" else axes[:1], counted


def _sums(tensor: Tensor, dim: int, axis: Axis) -> Iterator[tuple[str, Tensor]]:
    """Sum of magnitudes at each place of each choice of a dimension."""
    others = [d for d in range(tensor.dim()) if d != dim]
    each = tensor.abs().double()
    each = each.sum(dim=others) if others else each
    start = 0
    for factors in axis.segments:
        sizes = [factor.of for factor in factors]
        count = 1
        for size in sizes:
            count *= size
        places = each[start : start + count].reshape(sizes)
        for i, factor in enumerate(factors):
            if factor.name is not None:
                yield (
                    factor.name,
                    places.sum(dim=[d for d in range(len(sizes)) if d != i]) if len(sizes) > 1 else places,
                )
        start += count


def _places(axis: Axis, order: dict[str, Tensor]) -> Tensor:
    """Where each place of the reordered dimension was."""
    found, start = [], 0
    for factors in axis.segments:
        sizes = [factor.of for factor in factors]
        places = torch.arange(start, start + int(torch.tensor(sizes).prod())).reshape(sizes)
        for i, factor in enumerate(factors):
            if factor.name in order:
                places = places.index_select(i, order[factor.name])
        start += places.numel()
        found.append(places.flatten())
    return torch.cat(found)
