"""Attentive sampling: the sandwich rule, but of several random subnets of one cost the best or the worst is trained.

Source: Wang et al. 2021, "AttentiveNAS", sections 3.2 and 4.1: k = 3 candidates; *best-up* trains the one with the
lowest loss on the mini-batch, *worst-up* the one with the highest. Differs: cost is counted in bit operations, which
are proportional to MACs where precision is not chosen; the target cost is that of a random subnet, and the candidates
are the nearest of 64 others (there a prior over targets, and up to 100 draws into a bin of 25 M MACs).
"""

from __future__ import annotations

import numpy as np
from torch import Tensor

from spaces import Architecture
from spaces.randomness import generator
from supernets.build import Supernet
from supernets.training.schemes.base import Setting, shown
from supernets.training.schemes.sandwich import Sandwich

_POOL = 64


class Attentive(Sandwich):
    """``select`` is ``best_up`` or ``worst_up``; each candidate costs one more forward pass."""

    def __init__(
        self, setting: Setting, subnets: int = 2, smoothing: float = 0.05, distillation: float = 0.5,
        zero_residuals: bool = False, candidates: int = 3, select: str = "best_up",
    ) -> None:  # fmt: skip
        super().__init__(setting, subnets, smoothing, distillation, zero_residuals)
        self.candidates, self.pick = candidates, {"best_up": min, "worst_up": max}[select]

    def alike(self, step: int, slot: int) -> list[Architecture]:
        """The candidates for one of the random subnets of a step: of nearly one cost, the target's."""
        drawn = self.space.sample_many(_POOL, generator(self.seed, "train.subnets", step, slot), by_choice=True)
        cost = np.log(self.space.cost(drawn)["bit_operations"])  # by ratio: precisions are far apart
        nearest = np.argsort(np.abs(cost - cost[0]), kind="stable")
        different = list(dict.fromkeys(drawn[int(i)] for i in nearest))
        return different[: self.candidates]

    def chosen(self, net: Supernet, images: Tensor, labels: Tensor, step: int, slot: int) -> Architecture:
        """The candidate with the lowest, or the highest, loss on the mini-batch; of equal ones the first."""
        found = self.alike(step, slot)
        losses = [float(self.hard(shown(net, architecture, images), labels)) for architecture in found]
        return found[losses.index(self.pick(losses))]

    def backward(self, net: Supernet, images: Tensor, labels: Tensor, step: int) -> Tensor:
        """Add the gradients of the largest, the smallest and the chosen ones."""
        chosen = [self.chosen(net, images, labels, step, slot) for slot in range(self.random)]
        return self.lessons(net, images, labels, [self.largest, self.smallest, *chosen])
