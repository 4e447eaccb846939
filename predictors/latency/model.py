"""Latency of whole networks from a table of parts, with factors fitted on a few measured networks.

A network's time is not the sum of its rows: kernels run in each other's cache, float layers hand over in a layout of
their own, and every layer has a dispatch cost. So the rows are summed by kind, and factors, found by least squares on
relative errors, weigh the sums: T = a_f float kernels + a_q integer kernels + a_o other layers + b conversions
- r float links + l layers + s conversions counted + c + w weights beyond the cache. The last is the way of weights from
memory: alone, a layer finds its own in the cache; a network of many does not.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import lsq_linear

from predictors.latency.called import work_of
from predictors.latency.table import Table
from predictors.latency.weights import WeightFormats
from spaces import Architecture, Batch, Space
from spaces.outline import WEIGHTED

if TYPE_CHECKING:
    from torch import Tensor

    from predictors.latency.expectation import Expectation

Floats = NDArray[np.float64]

FEATURES = (
    "float kernels",
    "integer kernels",
    "other layers",
    "conversions",
    "float links",
    "layers",
    "conversions counted",
    "call",
    "weights",
)
_LOWER = np.array([0.5, 0.5, 0.2, 0.2, -np.inf, 0.0, 0.0, 0.0, 0.0])
_UPPER = np.array([2.0, 2.0, 6.0, 6.0, 0.0, np.inf, np.inf, np.inf, 0.5])
# A weak pull to plain additivity, so that few networks still give sane factors.
_PRIOR = np.array([1.0, 1.0, 1.0, 1.0, 0.0, 0.0, 0.0, 0.0, 0.0])
_PRIOR_WEIGHT = 0.02
CACHE_BYTES = 2**20  # of one core, as second-level caches are; networks with less weights fit it


@dataclass(frozen=True)
class LatencyModel:
    """Predicts the time of a whole call. ``factors`` (9,) in the order of ``FEATURES``; ``error`` is relative."""

    space: Space
    table: Table
    menu: dict[str, str]
    batch: int
    factors: Floats
    error: float

    def predict(self, batch: Batch | Sequence[Architecture]) -> tuple[Floats, Floats]:
        """(mean_ms (n,), std_ms (n,)). Raises ``TableError`` for a layer that the table has no row for."""
        sums = features(self.space, self.table, self.menu, self.batch, batch)
        mean = np.maximum(sums @ self.factors, self.table.call_ms)  # no network is faster than an empty call
        return mean, mean * self.error

    def expected(self, weights: Mapping[str, Tensor]) -> Tensor:
        """Expected latency in ms, a scalar that gradients flow through, where each choice is drawn by itself.

        ``weights``: name of every choice of the space -> probability (k,) of each value, in their order; conditions
        make choices absent as ever. At one-hot weights it is :meth:`predict`, and it is the mean of predictions over
        drawn architectures but for two terms that are not sums over layers: weights beyond the cache, and the time of
        an empty call as the least. They are those of the mean, so that it errs by Jensen's inequality, downwards, where
        some networks fit the cache and others do not (measured in ``docs/latency.md``).

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
        """Factors and error, for the record."""
        return {"factors": dict(zip(FEATURES, self.factors.tolist(), strict=True)), "error": self.error}


def features(
    space: Space, table: Table, menu: dict[str, str], batch_size: int, networks: Batch | Sequence[Architecture]
) -> Floats:
    """(n, 9) sums of table rows and counts, in the order of ``FEATURES``."""
    batch = networks if isinstance(networks, Batch) else space.batch(list(networks))
    sums = sums_at(table, menu, batch_size, batch)
    sums[:, 7] = table.call_ms
    sums[:, 8] = np.maximum(0, sums[:, 8] - CACHE_BYTES) / 2**20
    return sums


def sums_at(
    table: Table, menu: dict[str, str], batch_size: int, batch: Batch, only: Collection[int] | None = None
) -> Floats:
    """(n, 9) sums over all records, or ``only`` some: as :func:`features`, but no call, and all bytes of weights."""
    todo = work_of(batch, WeightFormats(menu), batch_size, only)
    sums = np.zeros((len(batch), len(FEATURES)))
    for key, rows in todo.kernels:
        column = 2 if key.op not in WEIGHTED else int(key.source == "u8")
        np.add.at(sums[:, column], rows, table.ms(key))
        np.add.at(sums[:, 8], rows, key.weight_bytes)
    for boundary, rows in todo.boundaries:
        np.add.at(sums[:, 3], rows, table.ms(boundary))
        np.add.at(sums[:, 6], rows, 1e-3)
    sums[:, 4] = todo.links * 1e-6
    sums[:, 5] = todo.layers * 1e-3
    return sums


def fit(
    space: Space, table: Table, menu: dict[str, str], batch_size: int, networks: Sequence[Architecture]
) -> LatencyModel:
    """Fit the factors to networks whose times the table holds; the relative error is that of leaving each out in turn.

    Raises ``KeyError`` for a network that the table has not measured.
    """
    x = features(space, table, menu, batch_size, networks)
    y = np.array([table.networks[a.to_json()].ms for a in networks])
    factors = _solve(x, y)
    others = range(len(y)) if len(y) > 1 else ()
    left_out = [x[i] @ _solve(np.delete(x, i, 0), np.delete(y, i)) / y[i] - 1 for i in others] or [0.0]
    return LatencyModel(space, table, menu, batch_size, factors, float(np.sqrt(np.mean(np.square(left_out)))))


def additive(space: Space, table: Table, menu: dict[str, str], batch_size: int, error: float) -> LatencyModel:
    """Where no network was timed: the sum of the rows. ``error``: relative, of a row; errors of rows may add up."""
    return LatencyModel(space, table, menu, batch_size, _PRIOR.copy(), error)


def _solve(x: Floats, y: Floats) -> Floats:
    pull = np.diag(_PRIOR_WEIGHT * (x / y[:, None]).std(axis=0) * np.sqrt(len(y)))
    pull[:, 4:] = 0
    system = np.concatenate([x / y[:, None], pull])
    target = np.concatenate([np.ones(len(y)), pull @ _PRIOR])
    solution: Floats = lsq_linear(system, target, bounds=(_LOWER, _UPPER)).x
    return solution
