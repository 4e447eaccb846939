"""Latency of whole networks from what they compute, where times of layers alone say nothing of networks.

T = sum over kinds of layer k of (a_k multiplications + b_k values read and written + c_k) + d values handed on in
floats + e, none of them negative, found by least squares on relative errors (Lawson & Hanson 1974, chapter 23). A kind
is an operation on integers or on floats, of one kernel size; multiplications count output channels up to whole blocks,
as kernels compute them. All kinds together have factors too, which serve what the fitted networks had too little of.
Gaussian processes, trees and the other regressors of this folder were worse on the 60 to 100 networks that are timed.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import nnls
from torch import Tensor

from predictors.latency.amounts import amounts
from predictors.latency.called import work_of
from predictors.latency.key import BoundaryKey, CallKey, Key
from predictors.latency.model import LatencyModel
from predictors.latency.table import Table, TableError
from predictors.latency.weights import FLOAT, INTEGERS, WeightFormats
from spaces import Architecture, Batch, Space

Floats = NDArray[np.float64]

_UNITS = ("us per million multiplications", "us per thousand values", "us each")
_SCALES = np.array([1e-6, 1e-3, 1.0]) * 1e-3  # so that factors are in those units, and sums in ms
_ALL, _LINKS, _CALL = "all", "float links, us per thousand values", "call, us"
_CHANNELS = 16  # that a kernel computes at once
_RIDGE = 1e-4


@dataclass(frozen=True)
class WholeModel(LatencyModel):
    """``factors`` (k,) in the order of ``columns``; see :class:`LatencyModel`."""

    columns: tuple[str, ...] = ()

    def predict(self, batch: Batch | Sequence[Architecture]) -> tuple[Floats, Floats]:
        """(mean_ms (n,), std_ms (n,)), for any network of the space."""
        mean = _matrix(_sums(self.space, self.menu, self.batch, batch), self.columns) @ self.factors
        return mean, mean * self.error

    def expected(self, weights: Mapping[str, Tensor]) -> Tensor:
        """Refused with :class:`TableError`: an expectation is a sum over rows of layers, of which there are none."""
        raise TableError(
            "the expected latency of a relaxation needs a table of layers; this backend times whole networks only "
            "[no-table]\n  hint: use backend onnxruntime"
        )

    def to_json(self) -> dict[str, Any]:
        """Factors and error, for the record."""
        return {"factors": dict(zip(self.columns, self.factors.tolist(), strict=True)), "error": self.error}


def fit_whole(
    space: Space, table: Table, menu: dict[str, str], batch_size: int, networks: Sequence[Architecture]
) -> WholeModel:
    """Fit to networks whose times the table holds; the relative error is that of leaving each out in turn.

    Raises ``KeyError`` for a network that the table has not measured.
    """
    sums = _sums(space, menu, batch_size, networks)
    columns = tuple(sorted(name for name, values in sums.items() if values.any()))
    x = _matrix(sums, columns)
    y = np.array([table.networks[a.to_json()].ms for a in networks])
    others = range(len(y)) if len(y) > 1 else ()
    left_out = [x[i] @ _solve(np.delete(x, i, 0), np.delete(y, i)) / y[i] - 1 for i in others] or [0.0]
    error = float(np.sqrt(np.mean(np.square(left_out))))
    return WholeModel(space, table, menu, batch_size, _solve(x, y), error, columns=columns)


def _solve(x: Floats, y: Floats) -> Floats:
    """Each column weighs the same whatever its unit; a weak pull to nothing decides between equal ones."""
    sizes = np.maximum(x.mean(axis=0), np.finfo(np.float64).tiny)
    pull = math.sqrt(_RIDGE * len(y)) / y.mean() * np.eye(len(sizes))
    system = np.concatenate([x / sizes / y[:, None], pull])
    found, _ = nnls(system, np.concatenate([np.ones(len(y)), np.zeros(len(sizes))]))
    return np.asarray(found / sizes, np.float64)


def _matrix(sums: dict[str, Floats], columns: Sequence[str]) -> Floats:
    """(n, k); what no fitted network had is in the columns of all kinds alone."""
    nothing = np.zeros_like(sums[_CALL])
    return np.stack([sums.get(name, nothing) for name in columns], axis=1)


def _sums(
    space: Space, menu: dict[str, str], batch_size: int, networks: Batch | Sequence[Architecture]
) -> dict[str, Floats]:
    """Column -> (n,) amounts of each network."""
    batch = networks if isinstance(networks, Batch) else space.batch(list(networks))
    todo = work_of(batch, WeightFormats(menu), batch_size)
    kinds: dict[str, Floats] = defaultdict(lambda: np.zeros((len(batch), len(_UNITS))))
    for key, rows in [*todo.kernels, *todo.boundaries]:
        found = _amounts(key) * _SCALES
        for kind in (_kind(key), _ALL):
            np.add.at(kinds[kind], rows, found)
    sums = {f"{kind}, {unit}": kinds[kind][:, i] for kind in kinds for i, unit in enumerate(_UNITS)}
    return {**sums, _LINKS: todo.links * 1e-6, _CALL: np.full(len(batch), 1e-3)}


def _amounts(key: Key) -> Floats:
    """(multiplications, values, 1) of one key."""
    found = amounts(key)
    blocks = -(-found.c_out // _CHANNELS) * _CHANNELS / found.c_out if found.weights > 1 else 1.0
    return np.array([found.macs * blocks, found.read + found.written, 1.0])


def _kind(key: Key) -> str:
    """What keys of one factor have in common."""
    if isinstance(key, BoundaryKey):
        return key.op
    found = amounts(key)
    grouped, op = ("", key.call) if isinstance(key, CallKey) else (found.kind[1], key.op)
    taps = f"of {found.taps} taps" if found.taps > 1 and found.weights > 1 else ""
    weight = "" if key.weight in INTEGERS | {FLOAT} else key.weight
    return " ".join(part for part in (grouped, op, taps, key.source, weight) if part)
