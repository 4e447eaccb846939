"""Latency of whole networks from a table of parts, with factors fitted on a few measured networks.

A network's time is not the sum of its rows: kernels run in each other's cache, float layers hand over in blocks of
channels, and every layer has a dispatch cost. So the rows are summed by kind, and factors, found by least squares on
relative errors, weigh the sums: T = sum over kinds k of (a + d_k) rows of k - r values that pass in blocks + l layers
+ s conversions counted + c + w weights beyond the caches. Of the factors a there are four (float kernels, integer
kernels, other layers, conversions); d_k is how far a kind (an operation at one place of the network) deviates. The last
is the way of weights from memory: alone, a layer finds its own in the cache; a network of many does not.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from predictors.latency.sums import FEATURES, PARTS, beyond_caches, sums_of
from predictors.latency.table import Table
from spaces import Architecture, Batch, Space

if TYPE_CHECKING:
    from torch import Tensor

    from predictors.latency.expectation import Expectation

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class LatencyModel:
    """Predicts the time of a whole call. ``factors`` (12,) in the order of ``FEATURES``; ``error`` is relative;
    ``deviations``: kind of row -> what its factor has besides."""

    space: Space
    table: Table
    menu: dict[str, str]
    batch: int
    factors: Floats
    error: float
    deviations: Mapping[str, float] = field(default_factory=dict)

    def predict(self, batch: Batch | Sequence[Architecture]) -> tuple[Floats, Floats]:
        """(mean_ms (n,), std_ms (n,)). Raises ``TableError`` for a layer that the table has no row for."""
        parts_ms, weight_bytes = self.parts(batch)
        mean = parts_ms + self.call_ms + beyond_caches(weight_bytes) @ self.ms_per_mib
        mean = np.maximum(mean, self.table.call_ms)  # no network is faster than an empty call
        return mean, mean * self.error

    def parts(
        self, batch: Batch | Sequence[Architecture], only: Collection[int] | None = None
    ) -> tuple[Floats, Floats]:
        """(ms (n,), bytes of weights (n,)): what is a sum over records, of all, or of ``only`` some."""
        sums = sums_of(self.space, self.table, self.menu, self.batch, batch, only)
        ms = sums.parts @ self.factors[: len(PARTS)]
        for kind, summed in sums.kinds.items():
            ms += self.deviations.get(kind, 0.0) * summed
        return ms, sums.weight_bytes

    @property
    def call_ms(self) -> float:
        """What every call takes."""
        return self.table.call_ms * float(self.factors[len(PARTS)])

    @property
    def ms_per_mib(self) -> Floats:
        """(2,) what weights beyond each cache take, those beyond the larger one besides."""
        return self.factors[len(PARTS) + 1 :]

    def expected(self, weights: Mapping[str, Tensor]) -> Tensor:
        """Expected latency in ms, a scalar that gradients flow through, where each choice is drawn by itself.

        ``weights``: name of every choice of the space -> probability (k,) of each value, in their order; conditions
        make choices absent as ever. At one-hot weights it is :meth:`predict`, and it is the mean of predictions over
        drawn architectures but for terms that are not sums over layers: weights beyond the caches, and the time of an
        empty call as the least. They are those of the mean, so that it errs by Jensen's inequality, downwards, where
        some networks fit a cache and others do not (measured in ``docs/latency.md``).

        Raises:
            ValueError: a choice without weights, weights of no choice or of another shape, or no probabilities.
            TooManyChoices: a layer depends on too many choices at once to be tabulated.
            TableError: the table has no row for a layer.
        """
        return self._expectation(weights)

    @cached_property
    def _expectation(self) -> Expectation:
        from predictors.latency.expectation import Expectation

        return Expectation.of(self)

    def to_json(self) -> dict[str, Any]:
        """Factors, deviations and error, for the record."""
        factors = dict(zip(FEATURES, self.factors.tolist(), strict=True))
        return {"factors": factors, "deviations": dict(self.deviations), "error": self.error}
