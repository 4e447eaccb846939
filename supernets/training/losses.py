"""Losses of supernet training.

Shapes: logits (b, classes) and labels (b,), or for each token (b, t, classes) and (b, t); pictures (b, c, h, w).
Where a label is :data:`IGNORED`, nothing is asked of the network.
"""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional as F

IGNORED = -100  # what torch's cross-entropy leaves out


def judged(outputs: Tensor, others: Tensor, labels: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """All three, without the places whose label is ignored: then outputs are (n, classes) and labels (n,)."""
    asked = labels != IGNORED
    return (outputs, others, labels) if asked.all() else (outputs[asked], others[asked], labels[asked])


def cross_entropy(logits: Tensor, labels: Tensor, smoothing: float = 0.0) -> Tensor:
    """Mean cross-entropy in nats."""
    return F.cross_entropy(logits.flatten(0, -2), labels.flatten(), label_smoothing=smoothing)


def distillation(logits: Tensor, teacher: Tensor) -> Tensor:
    """Mean cross-entropy in nats against the teacher's distribution; no gradient to the teacher."""
    return F.cross_entropy(logits.flatten(0, -2), teacher.detach().softmax(dim=-1).flatten(0, -2))


def l1(pictures: Tensor, targets: Tensor, smoothing: float = 0.0) -> Tensor:
    """Mean absolute error; there is nothing to smooth."""
    return F.l1_loss(pictures, targets)


def l1_distillation(pictures: Tensor, teacher: Tensor) -> Tensor:
    """Mean absolute difference to the teacher's pictures; no gradient to the teacher."""
    return F.l1_loss(pictures, teacher.detach())


LOSSES = {"cross_entropy": (cross_entropy, distillation), "l1": (l1, l1_distillation)}
"""Name in ``Batches.loss`` -> loss against the targets, and against a teacher's outputs."""
