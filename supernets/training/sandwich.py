"""The sandwich rule: every step trains the largest, the smallest and some random subnets on one mini-batch.

Source: Yu & Huang 2019, "Universally Slimmable Networks", sections 3.2 and 3.3 (in-place distillation); BigNAS (Yu et
al. 2020), section 3.1. Differs: the loss of all but the largest is half cross-entropy and half distillation (pure
distillation lost to it in short runs); the smallest subnet also takes the lowest precision; random subnets are uniform
per choice, since a draw uniform over architectures hardly ever trains a shallow stage. Where operations are chosen, the
largest and the smallest of them are those of most and of fewest MACs.
"""

from __future__ import annotations

import torch
from torch import Tensor

from spaces import Architecture, Space
from spaces.precision import parse
from spaces.randomness import generator
from supernets.build import Supernet
from supernets.training.endpoints import endpoint
from supernets.training.losses import LOSSES

RANDOM_SUBNETS = 2
SMOOTHING = 0.05


class Sandwich:
    """Gradients of one step: largest (taught by the labels), then smallest and random ones (taught by both)."""

    def __init__(self, space: Space, seed: int, loss: str = "cross_entropy") -> None:
        self._against_targets, self._against_teacher = LOSSES[loss]
        self.space = space
        self.seed = seed
        chosen = (str(v) for c in space.choices if c.name in space.outline.precision_choices for v in c.values)
        lowest = min(chosen, key=lambda name: (*_bits(name), name), default="float")
        self.largest, self.smallest = endpoint(space, max, "float"), endpoint(space, min, lowest)

    def subnets(self, step: int) -> list[Architecture]:
        """The subnets of this step, the teacher first."""
        random = self.space.sample_many(RANDOM_SUBNETS, generator(self.seed, "train.subnets", step), by_choice=True)
        return [self.largest, self.smallest, *random]

    def backward(self, net: Supernet, images: Tensor, labels: Tensor, step: int) -> Tensor:
        """Add the gradients of all subnets of this step; returns their mean loss, detached."""
        teacher: Tensor | None = None
        losses = []
        for architecture in self.subnets(step):
            with net.active(architecture):
                logits = net(images)
            if teacher is None:
                loss, teacher = self._against_targets(logits, labels, SMOOTHING), logits.detach()
            else:
                hard, soft = self._against_targets(logits, labels), self._against_teacher(logits, teacher)
                loss = 0.5 * hard + 0.5 * soft
            loss.backward()  # type: ignore[no-untyped-call]
            losses.append(loss.detach())
        return torch.stack(losses).mean()


def _bits(name: str) -> tuple[int, int]:
    """Bits of a product, and of the weight."""
    precision = parse(name)
    weight, given = (32 if spec is None else spec.bits for spec in (precision.weight, precision.input))
    return weight * given, weight
