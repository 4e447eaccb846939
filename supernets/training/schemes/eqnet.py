"""Elastic quantization: three subnets per step, each taught by the one before it, weights drawn to a uniform law.

Source: Xu et al. 2023 (EQ-Net), sections 3.3 (weight distribution regularisation) and 3.4 (group progressive guidance):
all bits at their highest, then random bits, then all at their lowest; half cross-entropy, half distillation from the
previous one; what is not bits (granularity, symmetry) is random in all three. Differs: where sizes are chosen too, the
first subnet is the largest and the last the smallest; the labels of the first alone are smoothed; gradients are cut by
their norm, as in every scheme here (there each value at 1).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor

from spaces import Architecture, Value
from spaces.dimensions import bit_choices, descending, dimensions
from spaces.randomness import generator
from supernets.build import Supernet
from supernets.training.distribution import regularised, weight_distribution_loss
from supernets.training.schemes.base import Lessons, Setting, taught


class EqNet(Lessons):
    """``guidance``: ``chain`` (the previous subnet teaches), ``largest`` (the first one does) or ``none``.

    ``subnets`` random ones stand between the first and the last; ``kurtosis`` and ``skewness`` weigh the regularisers.
    """

    def __init__(
        self, setting: Setting, subnets: int = 1, smoothing: float = 0.05, distillation: float = 0.5,
        guidance: str = "chain", kurtosis: float = 0.015, skewness: float = 1.0,
    ) -> None:  # fmt: skip
        super().__init__(setting)
        self.random, self.smoothing, self.guidance = subnets, smoothing, guidance
        self.distillation = 0.0 if guidance == "none" else distillation
        self.kurtosis, self.skewness = kurtosis, skewness
        self.ends = [setting.space.extreme(pick, "float") for pick in (max, min)]
        self.dimension, self.bits = dimensions(setting.space), bit_choices(setting.space)

    def end(self, last: bool, rng: np.random.Generator) -> Architecture:
        """The subnet of the highest, or of the lowest bits; what else a precision is made of is random."""
        values: dict[str, Value] = {}
        for choice in self.space.choices:
            if not choice.present(values):
                continue
            if choice.name in self.bits:
                ordered = descending(self.space, choice) or choice.values
                values[choice.name] = ordered[-1 if last else 0]
            elif self.dimension[choice.name] == "precision" or choice.name not in self.ends[last]:
                values[choice.name] = choice.values[int(rng.integers(len(choice.values)))]
            else:
                values[choice.name] = self.ends[last][choice.name]
        return self.space.architecture(values)

    def subnets(self, step: int) -> list[Architecture]:
        """The subnets of a step, from the highest bits to the lowest."""
        first, last = (self.end(low, generator(self.seed, "train.ends", step, low)) for low in (False, True))
        return [first, *self.drawn(self.random, step), last]

    def backward(self, net: Supernet, images: Tensor, labels: Tensor, step: int) -> Tensor:
        """Add the gradients of the chain, and those of the regularisers."""
        first, *others = self.subnets(step)
        loss, teacher = taught(net, first, images, lambda y: self.hard(y, labels, self.smoothing))
        losses = [loss]
        for architecture in others:
            loss, outputs = taught(net, architecture, images, self._criterion(labels, teacher))
            losses.append(loss)
            if self.guidance == "chain":
                teacher = outputs
        self._regularise(net)
        return torch.stack(losses).mean()

    def _criterion(self, labels: Tensor, teacher: Tensor) -> Callable[[Tensor], Tensor]:
        return lambda outputs: self.mixed(outputs, labels, teacher, self.distillation)

    def _regularise(self, net: Supernet) -> None:
        weights = regularised(net)
        if weights and (self.kurtosis or self.skewness):
            loss: Any = weight_distribution_loss(weights, self.kurtosis, self.skewness)
            loss.backward()
