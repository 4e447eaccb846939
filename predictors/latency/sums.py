"""What the parts of networks take by themselves, summed by what the latency model has factors for."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from predictors.latency.called import work_of
from predictors.latency.table import Table
from predictors.latency.weights import WeightFormats
from spaces import Architecture, Batch, Space
from spaces.outline import WEIGHTED

Floats = NDArray[np.float64]

PARTS = (
    "float kernels",
    "integer kernels",
    "other layers",
    "conversions",
    "float links",
    "layers",
    "conversions counted",
)
FEATURES = (*PARTS, "call", "weights")
CACHE_BYTES = 2**20  # of one core, as second-level caches are; networks with less weights fit it


@dataclass(frozen=True)
class Sums:
    """Of n networks, over their records: ``parts`` (n, 7) in the order of ``PARTS``, and ``weight_bytes`` (n,)."""

    parts: Floats
    weight_bytes: Floats

    def features(self, call_ms: float) -> Floats:
        """(n, 9) in the order of ``FEATURES``; ``call_ms``: the time of an empty call."""
        return np.column_stack([self.parts, np.full(len(self.parts), call_ms), beyond_cache(self.weight_bytes)])


def beyond_cache(weight_bytes: Floats) -> Floats:
    """MiB of weights that the cache does not hold."""
    found: Floats = np.maximum(0, weight_bytes - CACHE_BYTES) / 2**20
    return found


def sums_of(
    space: Space, table: Table, menu: dict[str, str], batch_size: int, networks: Batch | Sequence[Architecture],
    only: Collection[int] | None = None,
) -> Sums:  # fmt: skip
    """Sums over all records, or ``only`` some. Raises ``TableError`` for a layer that the table has no row for."""
    batch = networks if isinstance(networks, Batch) else space.batch(list(networks))
    todo = work_of(batch, WeightFormats(menu), batch_size, only)
    parts, weight_bytes = np.zeros((len(batch), len(PARTS))), np.zeros(len(batch))
    for key, rows in todo.kernels:
        column = 2 if key.op not in WEIGHTED else int(key.source == "u8")
        np.add.at(parts[:, column], rows, table.ms(key))
        np.add.at(weight_bytes, rows, key.weight_bytes)
    for boundary, rows in todo.boundaries:
        np.add.at(parts[:, 3], rows, table.ms(boundary))
        np.add.at(parts[:, 6], rows, 1e-3)
    parts[:, 4] = todo.links * 1e-6
    parts[:, 5] = todo.layers * 1e-3
    return Sums(parts, weight_bytes)
