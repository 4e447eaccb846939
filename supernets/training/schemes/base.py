"""The protocol of every training scheme, and what most of them share."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Tensor

from spaces import Architecture, Space
from spaces.randomness import generator
from supernets.build import Supernet
from supernets.elastic import Mixture
from supernets.training.losses import LOSSES, judged


class NotTrainable(ValueError):
    """A scheme that cannot train this space, or for this loss; the message says why."""


@dataclass(frozen=True)
class Setting:
    """What every scheme is made from. ``steps``: of the whole training; ``loss``: a name in :data:`LOSSES`."""

    space: Space
    seed: int
    steps: int
    loss: str = "cross_entropy"


class Scheme(Protocol):
    """Which subnets a step trains, and who teaches them.

    A scheme has no state: what a step does depends on its setting, its options and the number of the step. So a
    training resumed from the weights of any step goes on as if it had never stopped.
    """

    def start(self, net: Supernet) -> None:
        """Change the initial weights; called once, before the first step."""
        ...

    def backward(self, net: Supernet, images: Tensor, labels: Tensor, step: int) -> Tensor:
        """Add the gradients of the subnets of this step, counted from 0; returns their mean loss, detached."""
        ...


class Lessons:
    """A scheme that trains one subnet after the other on the same mini-batch, gradients summed."""

    def __init__(self, setting: Setting) -> None:
        self.space, self.seed, self.steps = setting.space, setting.seed, setting.steps
        self.hard, self.soft = LOSSES[setting.loss]

    @classmethod
    def mixture(cls, options: Mapping[str, Any]) -> Mixture | None:
        """What a supernet that is trained with these options has to be built with."""
        return None

    def start(self, net: Supernet) -> None:
        """The weights stay as they are."""

    def backward(self, net: Supernet, images: Tensor, labels: Tensor, step: int) -> Tensor:
        """See :class:`Scheme`."""
        raise NotImplementedError

    def drawn(self, count: int, step: int) -> Sequence[Architecture]:
        """Random subnets of this step, uniform per choice: few architectures are shallow, their layers many's."""
        return self.space.sample_many(count, generator(self.seed, "train.subnets", step), by_choice=True)

    def mixed(self, outputs: Tensor, labels: Tensor, teacher: Tensor, distillation: float) -> Tensor:
        """A loss whose share ``distillation`` is against the teacher's outputs, the rest against the targets."""
        outputs, teacher, labels = judged(outputs, teacher, labels)
        if distillation == 1:
            return self.soft(outputs, teacher)
        if distillation == 0:
            return self.hard(outputs, labels)
        return (1 - distillation) * self.hard(outputs, labels) + distillation * self.soft(outputs, teacher)


def taught(
    net: Supernet, architecture: Architecture, images: Tensor, loss_of: Callable[[Tensor], Tensor]
) -> tuple[Tensor, Tensor]:
    """Train one subnet: adds its gradients; returns its loss and its outputs, both detached."""
    with net.active(architecture):
        outputs = net(images)
    loss = loss_of(outputs)
    loss.backward()  # type: ignore[no-untyped-call]
    return loss.detach(), outputs.detach()


@torch.no_grad()
def shown(net: Supernet, architecture: Architecture, images: Tensor) -> Tensor:
    """Outputs of a subnet that is not trained, with the statistics of the mini-batch."""
    with net.active(architecture):
        return net(images)  # type: ignore[no-any-return]
