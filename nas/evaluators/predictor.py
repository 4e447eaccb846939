"""Objectives from the predictors of accuracy and latency, and from counting: thousands per second."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nas.evaluators.base import Values
from predictors.accuracy import AccuracyPredictor
from predictors.energy import energy_pj
from predictors.latency import LatencyModel
from spaces import Architecture, Batch


@dataclass(frozen=True)
class Predictions:
    """``quality`` is the predictor's signal: minus the logarithm of the loss in nats."""

    accuracy: AccuracyPredictor
    latency: LatencyModel

    def ahead(self, batch: Batch, names: Collection[str]) -> dict[str, NDArray[np.float64]]:
        """Those of the named costs (n,) that a budget may limit: counted ones, and the predicted latency."""
        own = self.latency.space.batch(batch)
        found: dict[str, NDArray[np.float64]] = {}
        if "latency_ms" in names:
            found["latency_ms"] = self.latency.predict(own)[0]
        if "energy_pj" in names:
            found["energy_pj"] = energy_pj(own)
        if set(names) - {"latency_ms", "energy_pj"}:
            found |= {name: column.astype(np.float64) for name, column in self.latency.space.cost(own).items()}
        return found

    def __call__(self, architectures: Sequence[Architecture]) -> list[Values]:
        """See :class:`nas.evaluators.Evaluator`."""
        space = self.latency.space
        batch = space.batch(list(architectures))
        columns: dict[str, NDArray[np.generic]] = {**space.cost(batch), "energy_pj": energy_pj(batch)}
        columns["quality"], _ = self.accuracy.predict(batch)
        columns["latency_ms"], _ = self.latency.predict(batch)
        return [{name: column[i].item() for name, column in columns.items()} for i in range(len(batch))]
