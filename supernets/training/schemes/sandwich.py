"""The sandwich rule: every step trains the largest, the smallest and some random subnets on one mini-batch.

Source: Yu & Huang 2019, "Universally Slimmable Networks", sections 3.2 and 3.3 (in-place distillation); BigNAS (Yu et
al. 2020), section 3.1: label smoothing for the largest alone, pure distillation for the others (``distillation: 1``),
residual branches that start near zero (``zero_residuals``), a learning rate that stays above a floor (the recipe's
``learning_rate_floor: 0.05``). Differs: by default the loss of all but the largest is half cross-entropy and half
distillation (pure distillation lost to it in short runs); no dropout, which our networks have not; the smallest subnet
also takes the lowest precision; random subnets are uniform per choice. Where operations are chosen, the largest and the
smallest of them are those of most and of fewest MACs.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from spaces import Architecture
from spaces.dimensions import bits
from supernets.build import Supernet
from supernets.elastic import ElasticWeighted
from supernets.training.schemes.base import Lessons, Setting, taught

ZERO_GAIN = 0.01  # ten times the smallest gain that a norm can have: at the smallest itself there is no gradient


class Sandwich(Lessons):
    """Gradients of one step: largest (taught by the labels), then smallest and random ones (taught by both)."""

    def __init__(
        self, setting: Setting, subnets: int = 2, smoothing: float = 0.05, distillation: float = 0.5,
        zero_residuals: bool = False,
    ) -> None:  # fmt: skip
        super().__init__(setting)
        self.random, self.smoothing, self.distillation = subnets, smoothing, distillation
        self.zero_residuals = zero_residuals
        space = setting.space
        chosen = (str(v) for c in space.choices if c.name in space.outline.precision_choices for v in c.values)
        lowest = min(chosen, key=lambda name: (*bits(name), name), default="float")
        self.largest, self.smallest = space.extreme(max, "float"), space.extreme(min, lowest)

    def start(self, net: Supernet) -> None:
        """With ``zero_residuals`` every residual branch starts near zero, so that blocks start as the identity."""
        for path in branches(net) if self.zero_residuals else ():
            norm = net.weighted(path).norm
            assert norm is not None
            torch.nn.init.constant_(norm.weight, ZERO_GAIN)

    def subnets(self, step: int) -> list[Architecture]:
        """The subnets of this step, the teacher first."""
        return [self.largest, self.smallest, *self.drawn(self.random, step)]

    def backward(self, net: Supernet, images: Tensor, labels: Tensor, step: int) -> Tensor:
        """Add the gradients of all subnets of this step; returns their mean loss, detached."""
        return self.lessons(net, images, labels, self.subnets(step))

    def lessons(self, net: Supernet, images: Tensor, labels: Tensor, subnets: Sequence[Architecture]) -> Tensor:
        """The first is taught by the labels, and then teaches the others."""
        first, teacher = taught(net, subnets[0], images, lambda y: self.hard(y, labels, self.smoothing))
        others = [
            taught(net, architecture, images, lambda y: self.mixed(y, labels, teacher, self.distillation))[0]
            for architecture in subnets[1:]
        ]
        return torch.stack([first, *others]).mean()


def branches(net: Supernet) -> list[str]:
    """Paths of the layers with a norm that end a residual branch: the first of the two inputs of an add."""
    ends = [r.inputs[0] for r in net.outline.records if r.kind == "add" and len(r.inputs) == 2]
    found = [r.path for r in net.outline.records if r.path in ends and r.norm]
    return [path for path in found if isinstance(net.layer(path), ElasticWeighted)]
