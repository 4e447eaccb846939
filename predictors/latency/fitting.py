"""The factors of :mod:`predictors.latency.model`, by least squares on relative errors within bounds.

A mixed model: the factors of ``FEATURES`` are fixed effects, what kinds of rows deviate from theirs are random ones, a
priori normal around none. Source: Henderson 1975, Best linear unbiased estimation and prediction under a selection
model, section 3. Differs: both are bounded, and the two variances are not estimated, only their ratio is set.
"""

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

# Of rows, of values in blocks, of counts and of weights. A pull to what is expected where few networks tell otherwise:
# to plain additivity, and to 0.2 ns saved per value that need not be turned.
_LOWER = np.array([0.5, 0.5, 0.5, 0.5, -2.0, -2.0, -2.0, 0.0, 0.0, 0.0, 0.0, 0.0])
_UPPER = np.array([2.0, 2.0, 6.0, 6.0, 0.0, 0.0, 0.0, np.inf, np.inf, np.inf, 0.5, 0.5])
_PRIOR = np.array([1.0, 1.0, 1.0, 1.0, -0.2, -0.2, -0.25, 0.0, 0.0, 0.0, 0.0, 0.0])
_PULL = np.array([0.02, 0.02, 0.02, 0.02, 0.4, 0.4, 0.4, 0.0, 0.0, 0.0, 0.0, 0.0])
_ADDITIVE = np.array([1.0, 1.0, 1.0, 1.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0])
_TINY = 1e-6  # pull of what no network has
_DEVIATION = 10.0  # of a kind, in deviations of a network's time: a tenth where networks scatter by a hundredth
_MOST = 0.4  # that a kind may deviate: less than the least factor, for no row can take less than nothing


def fit(
    space: Space, table: Table, menu: dict[str, str], batch_size: int, networks: Sequence[Architecture]
) -> LatencyModel:
    """Fit the factors to networks whose times the table holds; the relative error is that of leaving each out in turn.

    Raises ``KeyError`` for a network that the table has not measured.
    """
    sums = sums_of(space, table, menu, batch_size, networks)
    y = np.array([table.networks[a.to_json()].ms for a in networks])
    x = sums.features(table.call_ms) / y[:, None]
    z = np.stack(list(sums.kinds.values()), axis=1) / y[:, None]
    factors, deviations = _solve(x, z)
    left_out = [0.0]
    for i in range(len(y)) if len(y) > 1 else ():
        others = _solve(np.delete(x, i, axis=0), np.delete(z, i, axis=0))
        left_out.append(float(x[i] @ others[0] + z[i] @ others[1]) - 1)
    error = float(np.sqrt(np.sum(np.square(left_out)) / len(y)))
    kinds = dict(zip(sums.kinds, deviations.tolist(), strict=True))
    return LatencyModel(space, table, menu, batch_size, factors, error, kinds)


def additive(space: Space, table: Table, menu: dict[str, str], batch_size: int, error: float) -> LatencyModel:
    """Where no network was timed: the sum of the rows. ``error``: relative, of a row; errors of rows may add up."""
    return LatencyModel(space, table, menu, batch_size, _ADDITIVE.copy(), error)


def _solve(x: Floats, z: Floats) -> tuple[Floats, Floats]:
    """(factors (f,), deviations (k,)) of features (n, f) and kinds (n, k), both in shares of a network's time.

    Deviations beyond the most are held there, and all else is found again.
    """
    held = np.zeros(z.shape[1])
    while True:
        free = held == 0
        factors, found = _unheld(x, z[:, free], 1 - z @ held)
        beyond = np.abs(found) > _MOST
        if not beyond.any():
            held[free] = found
            return factors, held
        held[np.flatnonzero(free)[beyond]] = np.sign(found[beyond]) * _MOST


def _unheld(x: Floats, z: Floats, target: Floats) -> tuple[Floats, Floats]:
    """Generalised least squares: what kinds deviate makes errors of networks that share them correlated."""
    covariance = np.eye(len(x)) + _DEVIATION**2 * z @ z.T
    root = np.linalg.cholesky(covariance)
    pull = np.maximum(_PULL * x.std(axis=0) * np.sqrt(len(x)), _TINY)
    system = np.concatenate([np.linalg.solve(root, x), np.diag(pull)])
    wanted = np.concatenate([np.linalg.solve(root, target), pull * _PRIOR])
    factors: Floats = lsq_linear(system, wanted, bounds=(_LOWER, _UPPER)).x
    return factors, _DEVIATION**2 * z.T @ np.linalg.solve(covariance, target - x @ factors)
