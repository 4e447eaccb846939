"""What the parts of networks take by themselves, summed by what the latency model has factors for."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from predictors.latency.called import work_of
from predictors.latency.key import BoundaryKey, CallKey, Key, LayerKey
from predictors.latency.table import Table
from predictors.latency.weights import WeightFormats
from spaces import Architecture, Batch, Space
from spaces.outline import WEIGHTED

Floats = NDArray[np.float64]

_OTHERS, _CONVERSIONS, _BLOCKS, _LAYERS, _COUNTED = 2, 3, slice(4, 7), 7, 8
PARTS = (
    "float kernels",
    "integer kernels",
    "other layers",
    "conversions",
    "values read in blocks",
    "values left in blocks",
    "values added in blocks",
    "layers",
    "conversions counted",
)
FEATURES = (*PARTS, "call", "weights beyond 1 MiB", "weights beyond 8 MiB")
# Of one core, as second-level caches are, and its share of a third-level one; networks with less weights fit them.
CACHES_BYTES = np.array([2.0**20, 2.0**23])


@dataclass(frozen=True)
class Sums:
    """Of n networks, over their records: ``parts`` (n, 9) in the order of ``PARTS``, ``kinds`` of rows of the table
    -> (n,) what they take, which is in ``parts`` too, and ``weight_bytes`` (n,)."""

    parts: Floats
    kinds: Mapping[str, Floats]
    weight_bytes: Floats

    def features(self, call_ms: float) -> Floats:
        """(n, 12) in the order of ``FEATURES``; ``call_ms``: the time of an empty call."""
        return np.column_stack([self.parts, np.full(len(self.parts), call_ms), beyond_caches(self.weight_bytes)])


def beyond_caches(weight_bytes: Floats) -> Floats:
    """(n, 2) MiB of weights that the caches do not hold."""
    found: Floats = np.maximum(0, weight_bytes[:, None] - CACHES_BYTES) / 2**20
    return found


def sums_of(
    space: Space, table: Table, menu: dict[str, str], batch_size: int, networks: Batch | Sequence[Architecture],
    only: Collection[int] | None = None,
) -> Sums:  # fmt: skip
    """Sums over all records, or ``only`` some. Raises ``TableError`` for a layer that the table has no row for."""
    batch = networks if isinstance(networks, Batch) else space.batch(list(networks))
    todo = work_of(batch, WeightFormats(menu), batch_size, only)
    parts, weight_bytes = np.zeros((len(batch), len(PARTS))), np.zeros(len(batch))
    kinds: dict[str, Floats] = defaultdict(lambda: np.zeros(len(batch)))
    for key, rows in [*todo.kernels, *todo.boundaries]:
        ms = table.ms(key)
        np.add.at(parts[:, _column(key)], rows, ms)
        np.add.at(kinds[kind_of(key)], rows, ms)
        if isinstance(key, BoundaryKey):
            np.add.at(parts[:, _COUNTED], rows, 1e-3)
        else:
            np.add.at(weight_bytes, rows, key.weight_bytes)
    parts[:, _BLOCKS] = todo.blocks * (batch_size * 1e-6)
    parts[:, _LAYERS] = todo.layers * 1e-3
    return Sums(parts, kinds, weight_bytes)


def _column(key: Key) -> int:
    """That of ``PARTS`` which a row is summed in."""
    if isinstance(key, BoundaryKey):
        return _CONVERSIONS
    return int(key.source == "u8") if key.op in WEIGHTED else _OTHERS


def kind_of(key: Key) -> str:
    """What rows have in common that differ in channels and weights alone, to be read."""
    match key:
        case BoundaryKey():
            return f"{key.op} {key.h}x{key.w}"
        case LayerKey():
            grouped = " grouped" if key.groups > 1 else ""
            sizes = f"k{key.kernel} s{key.stride} {key.h}x{key.w}"
            return f"{key.op}{grouped} {sizes} {key.source}>{key.target} {key.activation}"
        case CallKey():
            read = key.inputs[0][1] if key.inputs else ()
            places = "x".join(map(str, read[1:-1] if len(read) == 3 else read[2:]))
            taps = "x".join(map(str, key.held[2:]))
            windows = f"{key.args[:3]}{' grouped' if key.args[3] > 1 else ''}" if key.op == "conv" else ""
            parts = (key.call, taps, windows, places, f"{key.source}>{key.target}", key.activation)
            return " ".join(filter(None, parts))
