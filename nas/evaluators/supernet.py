"""Quality from the supernet itself, one subnet after the other; costs as the predictors have them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from nas.evaluate import Evaluator as Judge
from nas.evaluators.base import Failed, Values
from nas.evaluators.predictor import Predictions
from spaces import Architecture


@dataclass(frozen=True)
class Subnets:
    """Each architecture is calibrated and run on the validation split; ``quality`` is on the predictors' scale."""

    judge: Judge
    costs: Predictions

    def __call__(self, architectures: Sequence[Architecture]) -> list[Values | Failed]:
        """See :class:`nas.evaluators.Evaluator`."""
        found: list[Values | Failed] = []
        for architecture, values in zip(architectures, self.costs(architectures), strict=True):
            try:
                loss = -self.judge(architecture).log_likelihood
            except (RuntimeError, ValueError, ArithmeticError) as error:
                found.append(Failed(f"{type(error).__name__}: {error}"))
                continue
            usable = math.isfinite(loss) and loss > 0
            found.append({**values, "quality": -math.log(loss)} if usable else Failed(f"its loss is {loss}"))
        return found
