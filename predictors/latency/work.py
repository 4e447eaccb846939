"""What networks have to do, as keys of the latency table."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from predictors.latency.blocks import in_blocks
from predictors.latency.key import BoundaryKey, CallKey, LayerKey
from predictors.latency.standing import READS, standing
from predictors.latency.weights import WeightFormats
from spaces.cost import of_input
from spaces.outline import Columns
from spaces.resolve import at_each

Rows = NDArray[np.intp]
Ints = NDArray[np.int64]
_TWO_SIZES = frozenset({"attention", "multiply"})  # kinds whose second input may have other places than the first
_JOINS = frozenset({"add", "concat", "append"})
_BOUNDARIES = ("quantize", "quantize tokens", "dequantize", "dequantize tokens", "layout", "layout u8")
_MOST = 2**62


@dataclass(frozen=True)
class Work:
    """What a batch of n networks has to do.

    ``kernels`` and ``boundaries``: each distinct key with the rows (networks) where it occurs, a row as often as it
    does. Per network: ``layers`` (n,) how many layers, ``links`` (n,) how many float values of pictures pass from
    float layer to float layer, ``blocks`` (n, 3) how many of them in blocks of channels, as
    :func:`predictors.latency.blocks.in_blocks` counts them.
    """

    kernels: Sequence[tuple[LayerKey | CallKey, Rows]]
    boundaries: list[tuple[BoundaryKey, Rows]]
    layers: Ints
    links: Ints
    blocks: Ints


def work(table: Sequence[Columns], formats: WeightFormats, batch: int, only: Collection[int] | None = None) -> Work:
    """The work of the networks of a resolved outline, or that at ``only`` some of its records.

    ``formats``: those that kernels read weights in.
    """
    counted = set(range(len(table))) if only is None else set(only)
    n = len(table[0].exists)
    made8 = np.stack([*[c.runs8 for c in table], np.zeros(n, np.bool_)])  # the last row is the network's input
    stored8 = np.stack([*[c.out8 for c in table], np.zeros(n, np.bool_)])
    for c in table:
        stored8[-1] |= c.exists & (c.inputs[:, 0] < 0) & c.in8
    links = np.zeros(n, np.int64)
    written = np.zeros_like(made8)
    stands = standing([c.record for c in table])
    tokens = np.array([*[stands[c.record.path] == "tokens" for c in table], False])[:, None].repeat(n, axis=1)
    changes = _Gathered(4)
    for i, c in enumerate(table):
        for producer in c.inputs.T:
            at = at_each(producer)
            stored, made = stored8[at] & c.exists, made8[at]
            quantize = stored & ~made & ~written[at]
            written[at] |= quantize
            if i not in counted:
                continue
            flat = tokens[at] & (c.h * c.w > 1)
            for op, where in enumerate((quantize, stored & ~c.runs8)):
                changes.add(where, 2 * op + flat, c.c_in, c.h, c.w)
            if reads := READS.get(c.record.kind):
                turned = c.exists & (tokens[at] != (reads == "tokens")) & (c.h * c.w > 1)
                changes.add(turned, 4 + stored, c.c_in, c.h, c.w)
            links += np.where(c.exists & ~stored & ~c.runs8 & (producer >= 0) & ~flat, c.c_in * c.h * c.w, 0)
    boundaries = [(BoundaryKey(_BOUNDARIES[op], c, h, w), rows) for (op, c, h, w), rows in changes.distinct()]
    layers = np.sum([c.exists for i, c in enumerate(table) if i in counted], axis=0) + np.zeros(n, np.int64)
    kernels = list(_kernels(table, stands, formats, batch, counted))
    return Work(kernels, boundaries, layers, links, in_blocks(table, counted))


def _kernels(
    table: Sequence[Columns], stands: Mapping[str, str], formats: WeightFormats, batch: int, counted: set[int]
) -> Iterator[tuple[LayerKey, Rows]]:
    sorts: dict[tuple[str, str, str], int] = {}
    found = _Gathered(15)
    for c in (table[i] for i in sorted(counted)):
        kind = c.record.kind
        lies = stands[c.record.inputs[0]]
        after = [sorts.setdefault((kind, activation, lies), len(sorts)) for activation in c.activations]
        sort = after[0] if len(after) == 1 else np.array(after)[c.activation]
        fan = c.inputs.shape[1]
        others = of_input(c, table, 1)[1] if kind in _TWO_SIZES else fan if kind in _JOINS and fan != 2 else 0
        found.add(
            c.exists, sort, formats.of(c), c.runs8, c.runs8 & c.out8, c.kernel, c.stride, c.c_in, c.c_out,
            c.h, c.w, c.groups, c.heads, c.rows if kind == "embedding" else 0, others,
            c.kv_heads,
        )  # fmt: skip
    names = list(sorts)
    for values, rows in found.distinct():
        sort, form, source8, target8, kernel, stride, c_in, c_out, h, w, groups, heads, entries, places, shared = values
        kind, activation, lies = names[sort]
        yield LayerKey(
            kind, kernel, stride, c_in, c_out, h, w, batch, formats.names[form], _form(source8), _form(target8),
            activation, groups, heads, entries, places, lies if h * w > 1 else "picture", shared,
        ), rows  # fmt: skip


class _Gathered:
    """Whole numbers of many layers in ``width`` columns, and the networks that they are of."""

    def __init__(self, width: int) -> None:
        self._fields: list[Ints] = [np.zeros((0, width), np.int64)]
        self._rows: list[Rows] = [np.zeros(0, np.intp)]

    def add(self, where: NDArray[np.bool_], *columns: Any) -> None:
        """Columns, (n,) each or the same number for all, of the networks ``where`` (n,)."""
        rows = np.flatnonzero(where)
        if len(rows):
            fields = np.empty((len(rows), len(columns)), np.int64)
            for i, column in enumerate(columns):
                fields[:, i] = column[rows] if isinstance(column, np.ndarray) else column
            self._fields.append(fields)
            self._rows.append(rows)

    def distinct(self) -> Iterator[tuple[list[int], Rows]]:
        """Each distinct row of numbers, sorted, with the networks that have it."""
        fields, rows = np.concatenate(self._fields), np.concatenate(self._rows)
        if not len(rows):
            return
        _, first, group = np.unique(packed(fields), return_index=True, return_inverse=True)
        order = np.argsort(group, kind="stable")
        parts = np.split(rows[order], np.cumsum(np.bincount(group))[:-1])
        yield from zip(fields[first].tolist(), parts, strict=True)


def packed(fields: Ints) -> Ints:
    """One number (n,) for each row of ``fields`` (n, columns), in the rows' order: a hundred times faster to sort."""
    spans = [int(most) + 1 for most in fields.max(axis=0)]
    packed = np.zeros(len(fields), np.int64)
    size = 1
    for column, span in zip(fields.T, spans, strict=True):
        if size * span > _MOST:  # so far apart: number what there is
            packed = np.unique(packed, return_inverse=True)[1].astype(np.int64)
            size = int(packed.max()) + 1
        packed, size = packed * span + column, size * span
    return packed


def _form(stored8: int) -> str:
    return "u8" if stored8 else "f32"
