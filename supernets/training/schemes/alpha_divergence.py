"""The sandwich rule with the adaptive alpha-divergence in place of distillation by cross-entropy.

Source: Wang et al. 2021, "AlphaNet", sections 3 and 4: of the divergences of a negative and of a positive alpha the
larger one, for each example; ratios to the power alpha are cut off at 5. Differs: computed from logarithms, so that a
teacher that is certain of one class gives no NaN; the labels keep a share of the loss (``distillation: 1`` leaves
none, as published).
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from supernets.training.schemes.base import NotTrainable, Setting
from supernets.training.schemes.sandwich import Sandwich

_CUT = 5.0
_LEAST_LOG = -30.0  # of a probability and of a ratio; below it nothing changes any more


def alpha_divergence(log_q: Tensor, log_p: Tensor, alpha: float) -> tuple[Tensor, Tensor]:
    """The divergence (n,) of a student from its teacher, and a loss (n,) that has its gradient.

    Shapes: log-probabilities (n, classes) of the student ``log_q`` and of the teacher ``log_p``, which may be -inf.
    With the ratio r = p / q the loss is ``-sum q f log q``, no gradient through the first q, and with
    f = r^a / a + 1 / (a (a - 1)), whose limits are r at a = 1 and log r - 1 at a = 0 (AlphaNet, section 3).
    """
    log_p = log_p.detach().clamp_min(_LEAST_LOG)
    given = log_q.detach().clamp_min(_LEAST_LOG)
    q, log_r = given.exp(), (log_p - given).clamp_min(_LEAST_LOG)
    power = (alpha * log_r).clamp_max(math.log(_CUT)).exp()
    if abs(alpha) < 1e-3:
        value, factor = -log_r, log_r - 1
    elif abs(alpha - 1) < 1e-3:
        value, factor = power * log_r, power
    else:
        base = 1 / (alpha * (alpha - 1))
        value, factor = (power - 1) * base, power / alpha + base
    return (q * value).sum(dim=-1), -(q * factor * log_q.clamp_min(_LEAST_LOG)).sum(dim=-1)


def adaptive(outputs: Tensor, teacher: Tensor, alphas: tuple[float, float]) -> Tensor:
    """Mean over examples of the loss of the alpha whose divergence is the larger.

    Shapes: outputs and teacher (b, classes), or (b, t, classes); logits. No gradient to the teacher.
    """
    log_q, log_p = (x.flatten(0, -2).log_softmax(dim=-1) for x in (outputs, teacher.detach()))
    (low, low_loss), (high, high_loss) = (alpha_divergence(log_q, log_p, alpha) for alpha in alphas)
    return torch.where(low > high, low_loss, high_loss).mean()


class AlphaDivergence(Sandwich):
    """The students of the sandwich learn from the adaptive divergence of ``alpha_minus`` and ``alpha_plus``."""

    def __init__(
        self, setting: Setting, subnets: int = 2, smoothing: float = 0.05, distillation: float = 0.5,
        zero_residuals: bool = False, alpha_minus: float = -1.0, alpha_plus: float = 1.0,
    ) -> None:  # fmt: skip
        super().__init__(setting, subnets, smoothing, distillation, zero_residuals)
        if setting.loss != "cross_entropy":
            raise NotTrainable(f"scheme alpha_divergence compares classes, the loss here is {setting.loss}")
        self.soft = lambda outputs, teacher: adaptive(outputs, teacher, (alpha_minus, alpha_plus))
