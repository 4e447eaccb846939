"""What is known of a budget before an evaluation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from nas.strategies.protocol import Result, Signals
from spaces import Batch

_ENOUGH, _KEPT = 10, 0.95  # results from which margins are learned, and the share of them that would have kept it


class Limits:
    """The budget as far as it is known ahead, with a margin for what predictions have turned out to miss."""

    def __init__(self, budget: Mapping[str, float], signals: Signals) -> None:
        self._budget = dict(budget)
        self._ahead = signals.ahead if budget else None
        self._misses: dict[str, list[float]] = {}  # value over prediction, by cost
        self._margins: dict[str, float] = {}

    def keeps(self, batch: Batch) -> NDArray[np.bool_]:
        """Whether each architecture (n,) keeps the limits that are known ahead."""
        return self.excess(batch) <= 0

    def excess(self, batch: Batch) -> NDArray[np.float64]:
        """By which share each architecture (n,) breaks the limit that it breaks most; 0 where it keeps all."""
        found = np.zeros(len(batch))
        for name, costs in self._known(batch).items():
            found = np.maximum(found, costs / (self._budget[name] / self._margins.get(name, 1.0)) - 1)
        return found

    def learn(self, batch: Batch, results: Sequence[Result]) -> None:
        """Compare the values of these architectures with what was known of them."""
        for name, costs in self._known(batch).items():
            misses = self._misses.setdefault(name, [])
            misses += [r.values[name] / c for r, c in zip(results, costs.tolist(), strict=True) if c > 0]
            if len(misses) >= _ENOUGH:
                self._margins[name] = max(1.0, float(np.quantile(misses, _KEPT)))

    def _known(self, batch: Batch) -> dict[str, NDArray[np.float64]]:
        if self._ahead is None or not len(batch):
            return {}
        costs = self._ahead(batch, list(self._budget))
        return {name: np.asarray(costs[name], np.float64) for name in self._budget if name in costs}
