"""Progressive shrinking: first the largest network, then more and more smaller ones, a dimension at a time.

Source: Cai et al. 2020, "Once-for-All", section 3.3: the full network, then elastic kernels, then depth, then width,
each in addition to what was elastic before, smaller values one after the other; precision is a fourth dimension here.
Differs: all phases are equally long, and the full network goes on training and teaches in place (in OFA it is a copy
that was trained before and stays as it is); a resolution is elastic from the kernels on.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from spaces import Architecture, Choice, Value
from spaces.dimensions import DIMENSIONS, descending, dimensions
from spaces.randomness import generator
from supernets.build import Supernet
from supernets.training.schemes.base import Lessons, Setting, taught


class Progressive(Lessons):
    """The largest and ``subnets`` random ones of the phase per step; the latter are taught by both.

    ``phases``: dimensions in the order in which they become elastic; those that the space has not are passed over, and
    those that are not named stay at their largest.
    """

    def __init__(
        self, setting: Setting, subnets: int = 2, smoothing: float = 0.05, distillation: float = 0.5,
        phases: Sequence[str] = DIMENSIONS,
    ) -> None:  # fmt: skip
        super().__init__(setting)
        self.random, self.smoothing, self.distillation = subnets, smoothing, distillation
        self.largest = setting.space.extreme(max, "float")
        self.dimension = dimensions(setting.space)
        had = {self.dimension[c.name] for c in setting.space.choices if len(c.values) > 1}
        self.phases = [phase for phase in phases if phase in had]

    def phase(self, step: int) -> tuple[int, float]:
        """How many dimensions are elastic at a step, and how far their last phase has come, in [0, 1)."""
        progress = step / self.steps * (len(self.phases) + 1)
        return int(progress), progress % 1

    def allowed(self, choice: Choice, step: int) -> Sequence[Value]:
        """The values of a choice that are drawn at a step; the largest alone before its phase."""
        elastic, progress = self.phase(step)
        dimension = self.dimension[choice.name]
        before = self.phases.index(dimension) + 1 if dimension in self.phases else len(DIMENSIONS) + 1
        if before > elastic:
            return choice.values if choice.name not in self.largest else (self.largest[choice.name],)
        ordered = descending(self.space, choice)
        if before < elastic or ordered is None:
            return choice.values
        return ordered[: 2 + int(progress * (len(ordered) - 1))]

    def subnet(self, step: int, rng: np.random.Generator) -> Architecture:
        """A random one of this step's phase, uniform per choice."""
        values: dict[str, Value] = {}
        for choice in self.space.choices:
            if choice.present(values):
                allowed = self.allowed(choice, step)
                values[choice.name] = allowed[int(rng.integers(len(allowed)))]
        return self.space.architecture(values)

    def backward(self, net: Supernet, images: Tensor, labels: Tensor, step: int) -> Tensor:
        """Add the gradients of the largest, and after the first phase of the random ones."""
        first, teacher = taught(net, self.largest, images, lambda y: self.hard(y, labels, self.smoothing))
        losses = [first]
        for index in range(self.random if self.phase(step)[0] else 0):
            architecture = self.subnet(step, generator(self.seed, "train.subnets", step, index))
            losses += taught(net, architecture, images, lambda y: self.mixed(y, labels, teacher, self.distillation))[:1]
        return torch.stack(losses).mean()
