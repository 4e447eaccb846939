"""Confidence-guided annealing: at the end of training only weights near a rounding threshold still move.

Source: Liu et al. 2023 (OFQ), section 3.3: some 15 epochs after convergence, with thresholds 0.005 to 0.007 steps wide.
Weights that are far from a threshold stop to pull those that hop over one back and forth.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor

from spaces import Architecture, Layer
from supernets.build import Supernet
from supernets.elastic import ElasticWeighted

NEAR = 0.005


@contextmanager
def annealed(net: Supernet, architectures: Sequence[Architecture], near: float = NEAR) -> Iterator[None]:
    """Around ``optimiser.step()``: afterwards only weights that are undecided in one of these subnets have changed.

    All other weights of the layers that these subnets quantize are as before, weight decay undone as well. ``near`` is
    the distance from a threshold in steps. Raises ``ValueError`` for a supernet with experts.
    """
    free: dict[ElasticWeighted, Tensor] = {}
    if net.mixture is not None:
        raise ValueError("annealing knows one weight per layer: this supernet has experts")
    for architecture in architectures:
        for layer in net.layers(architecture):
            if layer.precision.weight is not None:
                module = net.weighted(layer.path)
                mask = free.setdefault(module, torch.zeros_like(module.full, dtype=torch.bool))
                places = torch.arange(mask.numel(), device=mask.device).reshape(mask.shape)
                mask.view(-1)[module.sliced(places, layer)] |= undecided(module, layer, near)
    before = {module: module.full.detach().clone() for module in free}
    yield
    with torch.no_grad():
        for module, mask in free.items():
            module.full.copy_(torch.where(mask, module.full, before[module]))


@torch.no_grad()
def undecided(module: ElasticWeighted, layer: Layer, near: float) -> Tensor:
    """Which weights of the slice are within ``near`` steps of where they would be rounded to another level; a mask."""
    assert layer.precision.weight is not None
    below, above, u = module.quantizer.around(module.active(layer), layer.precision.weight, module.cut(layer))
    return (u - (below + above) / 2).abs() < near * (above - below)
