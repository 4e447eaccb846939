"""What networks learn from a dataset: how their outputs are judged, and by which loss they are trained."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor
from torch.nn import functional as F

_LEAST_ERROR = 1e-10  # mean squared error of equal pictures, so that their PSNR is 100 dB and not infinite
_LUMA = (65.481, 128.553, 24.966)


@dataclass(frozen=True)
class Quality:
    """``accuracy`` in the unit of the task's metric, larger is better (top-1 in percent for classifiers).

    ``log_likelihood``: minus the mean loss, which ties far more rarely; in nats where outputs are probabilities.
    """

    accuracy: float
    log_likelihood: float


class Task(Protocol):
    """``metric`` has name, unit and sense; ``loss`` is a name in :data:`supernets.training.losses.LOSSES`."""

    @property
    def metric(self) -> Mapping[str, str]:
        """Name, unit and sense of :attr:`Quality.accuracy`."""
        ...

    @property
    def loss(self) -> str:
        """Name of the loss to train by."""
        ...

    def quality(self, outputs: Tensor, targets: Tensor) -> Quality:
        """Quality of a network's outputs (n, ...) against the targets (n, ...) of a split."""
        ...


@dataclass(frozen=True)
class Classification:
    """One class per image. Shapes: outputs (n, classes), targets (n,)."""

    loss = "cross_entropy"
    metric = {"name": "top-1 accuracy", "unit": "%", "sense": "max"}  # noqa: RUF012, nobody changes it

    def quality(self, outputs: Tensor, targets: Tensor) -> Quality:
        """Top-1 accuracy in percent; log-likelihood of the class in nats."""
        right = int((outputs.argmax(dim=1) == targets).sum())
        return Quality(100 * right / len(targets), -float(F.cross_entropy(outputs.double(), targets)))


@dataclass(frozen=True)
class NextToken:
    """The token after each. Shapes: outputs (n, t, vocabulary), targets (n, t). Perplexity is exp(-accuracy)."""

    loss = "cross_entropy"
    metric = {"name": "next-token log-likelihood", "unit": "nats", "sense": "max"}  # noqa: RUF012

    def quality(self, outputs: Tensor, targets: Tensor) -> Quality:
        """The mean log-likelihood of a token in nats, twice."""
        # Window by window: all logits as doubles would take twice the memory of the outputs.
        sums = [float(F.cross_entropy(o.double(), t, reduction="sum")) for o, t in zip(outputs, targets, strict=True)]
        likelihood = -sum(sums) / targets.numel()
        return Quality(likelihood, likelihood)


@dataclass(frozen=True)
class SuperResolution:
    """A picture ``scale`` times as high and wide. Shapes: outputs and targets (n, c, h, w), values from 0 to 1."""

    scale: int
    loss = "l1"
    metric = {"name": "PSNR of luminance", "unit": "dB", "sense": "max"}  # noqa: RUF012

    def quality(self, outputs: Tensor, targets: Tensor) -> Quality:
        """Mean PSNR of the pictures in decibels; minus their mean absolute error.

        PSNR as usual in the field: on luminance (ITU-R BT.601, 16 to 235) of pixels in 8 bits, without ``scale`` pixels
        at every border. Source: Dong et al. 2014, "Learning a Deep Convolutional Network for Image Super-Resolution".
        """
        cut = self.scale
        # A border as wide as the picture would leave nothing to compare.
        inner = slice(cut, -cut) if min(outputs.shape[-2:]) > 2 * cut else slice(None)
        difference = (luminance(eight_bits(outputs)) - luminance(eight_bits(targets)))[..., inner, inner]
        error = difference.square().flatten(1).mean(dim=1).clamp(min=_LEAST_ERROR)
        return Quality(float((-10 * torch.log10(error)).mean()), -float(F.l1_loss(outputs, targets)))


def eight_bits(pictures: Tensor) -> Tensor:
    """The nearest of the 256 values from 0 to 1 that a file can hold, as double."""
    return (pictures.double().clamp(0, 1) * 255).round() / 255


def luminance(pictures: Tensor) -> Tensor:
    """Luminance (n, h, w) of RGB pictures (n, 3, h, w) of 0 to 1, as a share of 255; a single channel as it is."""
    if pictures.shape[1] == 1:
        return pictures[:, 0]
    red, green, blue = (weight / 255 * pictures[:, i] for i, weight in enumerate(_LUMA))
    return 16 / 255 + red + green + blue
