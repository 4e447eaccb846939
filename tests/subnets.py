"""Small supernets, data and checkpoints that many tests share."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch import Tensor

from spaces import Architecture, Space
from supernets import Calibration, Mixture, Supernet, build


def randomised(space: Space, seed: int = 0, entangled: bool = False, mixture: Mixture | None = None) -> Supernet:
    """A supernet in ``eval()`` whose norms and biases are drawn too, as if it had been trained."""
    net = build(space, seed, entangled, mixture=mixture)
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, parameter in net.named_parameters():
            if name.endswith("norm.weight"):
                signs = torch.randint(0, 2, parameter.shape, generator=generator) * 2 - 1
                parameter.copy_(signs * (0.3 + torch.rand(parameter.shape, generator=generator)))
            elif name.endswith("bias"):
                parameter.copy_(0.3 * torch.randn(parameter.shape, generator=generator))
    return net.eval()


def images(space: Space, count: int, seed: int = 0) -> Tensor:
    """Normal noise (count, c, h, w) in the space's input shape."""
    return torch.randn(count, *space.outline.input_shape, generator=torch.Generator().manual_seed(seed))


def calibrated(net: Supernet, architecture: Architecture) -> Calibration:
    """Statistics from four batches of noise."""
    return net.calibrate(architecture, images(net.space, 128, seed=1).chunk(4))


class Toy:
    """Noisy images whose class shows in the means of their channels; mini-batches depend on the epoch alone."""

    loss = "cross_entropy"

    def __init__(self, space: Space, steps: int = 4, batch: int = 16) -> None:
        self.steps = steps
        self.batch = batch
        channels, height, width = space.outline.input_shape
        angles = torch.arange(space.outline.classes)[:, None] * 2 * torch.pi / space.outline.classes
        means = torch.cos(angles + torch.arange(channels) * torch.pi / 2)  # classes around a circle
        self._patterns = 1.5 * means[:, :, None, None].expand(-1, -1, height, width)

    def draw(self, count: int, seed: int) -> tuple[Tensor, Tensor]:
        """Images and labels."""
        generator = torch.Generator().manual_seed(seed)
        labels = torch.randint(0, len(self._patterns), (count,), generator=generator)
        noise = torch.randn(count, *self._patterns.shape[1:], generator=generator)
        return self._patterns[labels] + noise, labels

    def epoch(self, number: int) -> Iterator[tuple[Tensor, Tensor]]:
        """See :class:`supernets.Batches`."""
        for step in range(self.steps):
            yield self.draw(self.batch, seed=1_000 * number + step)

    def calibration(self) -> Sequence[Tensor]:
        """See :class:`supernets.Batches`."""
        return self.draw(4 * self.batch, seed=99)[0].chunk(4)


class Kept:
    """Checkpoints in memory, every one kept, through JSON as on a disk."""

    def __init__(self, first: tuple[bytes, str] | None = None) -> None:
        self.all: list[tuple[bytes, str]] = [] if first is None else [first]

    def save(self, state: bytes, facts: dict[str, Any]) -> None:
        """See :class:`supernets.Checkpoints`."""
        self.all.append((state, json.dumps(facts)))

    def latest(self) -> tuple[bytes, dict[str, Any]] | None:
        """See :class:`supernets.Checkpoints`."""
        return (self.all[-1][0], json.loads(self.all[-1][1])) if self.all else None
