"""Losses of supernet training. Shapes: logits (b, classes), labels (b,)."""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional as F


def cross_entropy(logits: Tensor, labels: Tensor, smoothing: float = 0.0) -> Tensor:
    """Mean cross-entropy in nats."""
    return F.cross_entropy(logits, labels, label_smoothing=smoothing)


def distillation(logits: Tensor, teacher: Tensor) -> Tensor:
    """Mean cross-entropy in nats against the teacher's distribution; no gradient to the teacher."""
    return F.cross_entropy(logits, teacher.detach().softmax(dim=1))
