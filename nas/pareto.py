"""Fronts: which of many results no other one beats in everything."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def front(values: NDArray[np.float64]) -> NDArray[np.intp]:
    """Rows of ``values`` (n, m), every column to be minimised, that no other row dominates; of equal rows the first."""
    order = np.lexsort(values.T[::-1])  # a row can be dominated only by rows that stand before it
    kept: list[int] = []
    for row in order:
        others = values[kept]
        if not len(kept) or not (others <= values[row]).all(axis=1).any():
            kept.append(int(row))
    return np.array(sorted(kept), np.intp)
