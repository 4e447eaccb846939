"""Fronts: what no other beats in everything, how crowded it is, how much it covers. All values are to be minimised."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


def front(values: Floats) -> NDArray[np.intp]:
    """Rows of ``values`` (n, m) that no other row dominates; of equal rows the first."""
    order = np.lexsort(values.T[::-1])  # a row can be dominated only by rows that stand before it
    kept: list[int] = []
    for row in order:
        others = values[kept]
        if not len(kept) or not (others <= values[row]).all(axis=1).any():
            kept.append(int(row))
    return np.array(sorted(kept), np.intp)


def ranks(values: Floats) -> NDArray[np.intp]:
    """Number of the front (n,) that each row of ``values`` (n, m) is in, from 0; equal rows are in the same one.

    (Non-dominated sorting, Deb et al. 2002.)
    """
    no_worse: NDArray[np.bool_] = np.all(values[:, None] <= values[None], axis=2)
    dominates = no_worse & ~no_worse.T
    found = np.full(len(values), -1, np.intp)
    for number in range(len(values)):
        left = found < 0
        if not left.any():
            break
        found[left & ~dominates[left].any(axis=0)] = number
    return found


def crowding(values: Floats) -> Floats:
    """Crowding distance (n,) of the rows of one front; infinite at the ends, 0 for a repeated row (Deb et al. 2002)."""
    n = len(values)
    distance = np.zeros(n)
    for column in values.T if n else ():
        order = np.argsort(column, kind="stable")
        spread = column[order[-1]] - column[order[0]]
        distance[order[[0, -1]]] = np.inf
        if spread > 0 and n > 2:
            distance[order[1:-1]] += (column[order[2:]] - column[order[:-2]]) / spread
    _, first = np.unique(values, axis=0, return_index=True)
    repeated = np.ones(n, np.bool_)
    repeated[first] = False
    distance[repeated] = 0
    return distance


def hypervolume(values: Floats, reference: Floats) -> float:
    """Volume between the front of ``values`` (n, m) and the ``reference`` point (m,); exact, by Optuna."""
    from optuna._hypervolume import compute_hypervolume

    inside = values[(values < reference).all(axis=1)]
    return float(compute_hypervolume(inside[front(inside)], reference)) if len(inside) else 0.0


def knee(values: Floats) -> int:
    """The row of ``values`` (n, m) farthest below the plane through the front's ends, objectives scaled to 0..1.

    (Das 1999, by the distance from the line of extremes, for any number of objectives.)
    """
    rows = front(values)
    low, high = values[rows].min(axis=0), values[rows].max(axis=0)
    scaled = (values[rows] - low) / np.where(high > low, high - low, 1)
    return int(rows[np.argmin(scaled.sum(axis=1))])
