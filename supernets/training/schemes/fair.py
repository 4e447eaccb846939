"""Strict fairness: every step trains every value of every choice equally often.

Source: Chu et al. 2021, "FairNAS", section 3.2 and algorithm 1: the gradients of the subnets of a step are summed, and
the weights change once. Spaces where that cannot hold (choices that are not always there) are refused.
"""

from __future__ import annotations

import torch
from torch import Tensor

from spaces.fairness import NotFair, draws_needed, fair_draws
from spaces.randomness import generator
from supernets.build import Supernet
from supernets.training.schemes.base import Lessons, NotTrainable, Setting, taught


class Fair(Lessons):
    """As many subnets per step as the largest choice has values, each taught by the labels."""

    def __init__(self, setting: Setting, smoothing: float = 0.05) -> None:
        super().__init__(setting)
        self.smoothing = smoothing
        try:
            draws_needed(setting.space)
        except NotFair as error:
            raise NotTrainable(f"scheme fair cannot train space {setting.space.name}: {error}") from None

    def backward(self, net: Supernet, images: Tensor, labels: Tensor, step: int) -> Tensor:
        """Add the gradients of the fair draws of this step."""
        losses = [
            taught(net, architecture, images, lambda y: self.hard(y, labels, self.smoothing))[0]
            for architecture in fair_draws(self.space, generator(self.seed, "train.subnets", step))
        ]
        return torch.stack(losses).mean()
