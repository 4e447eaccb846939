"""Losses of supernet training, by what a network gives.

Shapes: outputs (b, classes) with labels (b,), or (b, t, values) with labels (b, t), of whole numbers; a picture
(b, c, h, w) with a picture of that shape. Labels of -100 count for nothing.
"""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional as F


def task_loss(outputs: Tensor, labels: Tensor, smoothing: float = 0.0) -> Tensor:
    """Mean cross-entropy in nats; of pictures the mean distance of their values (Lim et al. 2017, section 3.2)."""
    if outputs.dim() == 4:
        return F.l1_loss(outputs, labels)
    return F.cross_entropy(outputs.flatten(0, -2), labels.flatten(), label_smoothing=smoothing)


def distillation(outputs: Tensor, teacher: Tensor) -> Tensor:
    """The same against the teacher's outputs, a distribution in the place of labels; no gradient to the teacher."""
    target = teacher.detach()
    if outputs.dim() == 4:
        return F.l1_loss(outputs, target)
    return F.cross_entropy(outputs.flatten(0, -2), target.flatten(0, -2).softmax(dim=1))
