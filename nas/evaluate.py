"""Quality of subnets: statistics re-estimated, then one pass over a split."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from nas.data import Dataset, Shuffled, Split
from spaces import Architecture
from supernets import Calibration, Supernet

METRIC = {"name": "top-1 accuracy", "unit": "%", "sense": "max"}
_CHUNK = 2_000


@dataclass(frozen=True)
class Quality:
    """``accuracy`` top-1 in percent; ``log_likelihood`` mean over images in nats, which ties far more rarely."""

    accuracy: float
    log_likelihood: float


def quality(logits: Tensor, labels: Tensor) -> Quality:
    """Quality of ``logits`` (n, classes) against ``labels`` (n,)."""
    right = int((logits.argmax(dim=1) == labels).sum())
    return Quality(100 * right / len(labels), -float(F.cross_entropy(logits.double(), labels)))


class Evaluator:
    """Quality of subnets of a trained supernet."""

    def __init__(self, net: Supernet, dataset: Dataset, batches: Shuffled) -> None:
        self.net = net.eval()
        self.dataset = dataset
        self._images = batches.calibration()

    @property
    def calibration_images(self) -> int:
        """Training images that a subnet's statistics come from."""
        return sum(len(part) for part in self._images)

    def calibrate(self, architecture: Architecture) -> Calibration:
        """The subnet's statistics on training images."""
        return self.net.calibrate(architecture, self._images)

    def __call__(self, architecture: Architecture, calibration: Calibration | None = None) -> Quality:
        """Quality on the validation split."""
        split = self.dataset.validation
        return quality(self.logits(architecture, split, calibration or self.calibrate(architecture)), split.labels)

    @torch.no_grad()
    def logits(self, architecture: Architecture, split: Split, calibration: Calibration) -> Tensor:
        """Logits (n, classes) of the subnet on a split."""
        with self.net.active(architecture, calibration):
            return torch.cat([self.net(part) for part in torch.split(split.images, _CHUNK)])
