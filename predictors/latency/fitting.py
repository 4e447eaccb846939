"""The factors of :mod:`predictors.latency.model`, by least squares on relative errors within bounds."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import lsq_linear

from predictors.latency.model import LatencyModel
from predictors.latency.sums import sums_of
from predictors.latency.table import Table
from spaces import Architecture, Space

Floats = NDArray[np.float64]

_LOWER = np.array([0.5, 0.5, 0.2, 0.2, -np.inf, 0.0, 0.0, 0.0, 0.0])
_UPPER = np.array([2.0, 2.0, 6.0, 6.0, 0.0, np.inf, np.inf, np.inf, 0.5])
# A weak pull to plain additivity, so that few networks still give sane factors.
_PRIOR = np.array([1.0, 1.0, 1.0, 1.0, 0.0, 0.0, 0.0, 0.0, 0.0])
_PRIOR_WEIGHT = 0.02


def fit(
    space: Space, table: Table, menu: dict[str, str], batch_size: int, networks: Sequence[Architecture]
) -> LatencyModel:
    """Fit the factors to networks whose times the table holds; the relative error is that of leaving each out in turn.

    Raises ``KeyError`` for a network that the table has not measured.
    """
    x = sums_of(space, table, menu, batch_size, networks).features(table.call_ms)
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
