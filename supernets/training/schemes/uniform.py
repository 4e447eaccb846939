"""Single-path training: every step trains random subnets, each by the labels alone.

Source: Guo et al. 2020, "Single Path One-Shot" (SPOS), section 3.2: one subnet per step, uniform per choice. Differs:
``subnets`` of them may share a mini-batch, gradients summed.
"""

from __future__ import annotations

import torch
from torch import Tensor

from supernets.build import Supernet
from supernets.training.schemes.base import Lessons, Setting, taught


class Uniform(Lessons):
    """``subnets`` random ones per step; ``smoothing`` of the labels."""

    def __init__(self, setting: Setting, subnets: int = 1, smoothing: float = 0.05) -> None:
        super().__init__(setting)
        self.random, self.smoothing = subnets, smoothing

    def backward(self, net: Supernet, images: Tensor, labels: Tensor, step: int) -> Tensor:
        """Add the gradients of the subnets drawn for this step."""
        losses = [
            taught(net, architecture, images, lambda y: self.hard(y, labels, self.smoothing))[0]
            for architecture in self.drawn(self.random, step)
        ]
        return torch.stack(losses).mean()
