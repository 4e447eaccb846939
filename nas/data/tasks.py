"""What networks learn from a dataset: how their outputs are judged, and by which loss they are trained."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor
from torch.nn import functional as F

from supernets.training.losses import IGNORED, judged

_LEAST_ERROR = 1e-10  # mean squared error of equal pictures, so that their PSNR is 100 dB and not infinite
_SAME_TOP, _MOST_APART_DB = 0.995, 0.05  # of forms of one network
_LUMA = (65.481, 128.553, 24.966)


@dataclass(frozen=True)
class Quality:
    """``accuracy`` in the unit of the task's metric, larger is better (top-1 in percent for classifiers).

    ``log_likelihood``: minus the mean loss, which ties far more rarely; in nats where outputs are probabilities.
    """

    accuracy: float
    log_likelihood: float


@dataclass(frozen=True)
class Agreement:
    """Of two forms of one network: ``value`` says how much, ``said`` in words, ``kept`` whether it is enough."""

    value: float
    said: str
    kept: bool


class Task(Protocol):
    """``metric`` has name, unit and sense; ``loss`` is a name in :data:`supernets.training.losses.LOSSES`.

    ``slack``: a difference of :attr:`Quality.accuracy` that is none to a user.
    """

    @property
    def slack(self) -> float:
        """In the unit of the metric."""
        ...

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

    def agreement(self, outputs: Tensor, others: Tensor, targets: Tensor) -> Agreement:
        """Of the outputs (n, ...) of one form of a network with those of another."""
        ...


@dataclass(frozen=True)
class Classification:
    """One class per image. Shapes: outputs (n, classes), targets (n,)."""

    slack = 0.5
    loss = "cross_entropy"
    metric = {"name": "top-1 accuracy", "unit": "%", "sense": "max"}  # noqa: RUF012, nobody changes it

    def quality(self, outputs: Tensor, targets: Tensor) -> Quality:
        """Top-1 accuracy in percent; log-likelihood of the class in nats."""
        right = int((outputs.argmax(dim=1) == targets).sum())
        return Quality(100 * right / len(targets), -float(F.cross_entropy(outputs.double(), targets)))

    def agreement(self, outputs: Tensor, others: Tensor, targets: Tensor) -> Agreement:
        """Share of the images for which both forms predict the same class."""
        return _same_top(outputs, others)


@dataclass(frozen=True)
class NextToken:
    """The token after each. Shapes: outputs (n, t, vocabulary), targets (n, t). Perplexity is exp(-accuracy).

    Where a target is :data:`IGNORED` nothing is asked.
    """

    slack = 0.02
    loss = "cross_entropy"
    metric = {"name": "next-token log-likelihood", "unit": "nats", "sense": "max"}  # noqa: RUF012

    def quality(self, outputs: Tensor, targets: Tensor) -> Quality:
        """The mean log-likelihood of a token in nats, twice."""
        # Window by window: all logits as doubles would take twice the memory of the outputs.
        sums = [float(F.cross_entropy(o.double(), t, reduction="sum")) for o, t in zip(outputs, targets, strict=True)]
        likelihood = -sum(sums) / int((targets != IGNORED).sum())
        return Quality(likelihood, likelihood)

    def agreement(self, outputs: Tensor, others: Tensor, targets: Tensor) -> Agreement:
        """Share of the places at which both forms expect the same token."""
        return _same_top(*judged(outputs, others, targets)[:2])


@dataclass(frozen=True)
class MaskedToken(NextToken):
    """The token in each gap; targets are :data:`IGNORED` elsewhere. Shapes as of :class:`NextToken`."""

    metric = {"name": "masked-token log-likelihood", "unit": "nats", "sense": "max"}  # noqa: RUF012


@dataclass(frozen=True)
class SuperResolution:
    """A picture ``scale`` times as high and wide. Shapes: outputs and targets (n, c, h, w), values from 0 to 1."""

    scale: int
    slack = 0.1
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

    def agreement(self, outputs: Tensor, others: Tensor, targets: Tensor) -> Agreement:
        """Difference of the mean PSNR, in decibels."""
        value = abs(self.quality(outputs, targets).accuracy - self.quality(others, targets).accuracy)
        return Agreement(value, f"{value:.3f} dB apart, at most {_MOST_APART_DB} dB", value <= _MOST_APART_DB)


def _same_top(outputs: Tensor, others: Tensor) -> Agreement:
    share = float((outputs.argmax(dim=-1) == others.argmax(dim=-1)).double().mean())
    said = f"{100 * share:.2f} % of the predictions are the same, at least {100 * _SAME_TOP} %"
    return Agreement(share, said, share >= _SAME_TOP)


def eight_bits(pictures: Tensor) -> Tensor:
    """The nearest of the 256 values from 0 to 1 that a file can hold, as double."""
    return (pictures.double().clamp(0, 1) * 255).round() / 255


def luminance(pictures: Tensor) -> Tensor:
    """Luminance (n, h, w) of RGB pictures (n, 3, h, w) of 0 to 1, as a share of 255; a single channel as it is."""
    if pictures.shape[1] == 1:
        return pictures[:, 0]
    red, green, blue = (weight / 255 * pictures[:, i] for i, weight in enumerate(_LUMA))
    return 16 / 255 + red + green + blue
