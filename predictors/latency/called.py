"""What traced networks have to do, as keys of the latency table: a key for each of their operations.

A key says all that the operation's time depends on: what is called with which arguments, and of each tensor its sizes
and whether it is stored in 8 bits. So the conversions between forms belong to the layers, and not to boundaries.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from predictors.latency.key import BoundaryKey, CallKey
from predictors.latency.weights import WeightFormats
from predictors.latency.work import Ints, Rows, Work, packed, work
from spaces import INPUT, Batch, Record
from spaces.axis import Axis
from spaces.call import Given
from spaces.layers import WEIGHTED, Columns
from spaces.outline import CallSizes
from spaces.resolve import at_each
from supernets.export.traced import is_constant, operation_name, reads
from supernets.functions.operations import RESHAPES

_UNCOUNTED = frozenset({"getitem"})  # a part of what makes several tensors


def work_of(batch: Batch, formats: WeightFormats, size: int, only: Collection[int] | None = None) -> Work:
    """The work of the networks of a batch, in calls of ``size`` examples; other arguments as :func:`work` has them."""
    outline = batch.space.outline
    if not outline.takes:
        return work(outline.table(batch), formats, size, only)
    return _Called(batch, formats, size).work(only)


@dataclass
class _Called:
    batch: Batch
    formats: WeightFormats
    size: int

    def __post_init__(self) -> None:
        outline = self.batch.space.outline
        self.table = outline.table(self.batch)
        self.sizes = outline.sizes(self.batch)
        self.constant: set[str] = set()
        for r in outline.records:
            if r.call is not None and is_constant(r.kind, r.call, r.inputs, self.constant):
                self.constant.add(r.path)
        self.at = {r.path: i for i, r in enumerate(outline.records)}
        stored = [*[c.out8 for c in self.table], np.zeros(len(self.batch), np.bool_)]
        self.stored8 = np.stack(stored)  # the last row is the network's input
        for c in self.table:
            self.stored8[-1] |= c.exists & (c.inputs[:, 0] < 0) & c.in8

    def work(self, only: Collection[int] | None = None) -> Work:
        """Keys of all records; of an input that is stored in 8 bits the conversion, with the first that reads it."""
        kernels: dict[CallKey, list[Rows]] = {}
        n = len(self.batch)
        layers, links = np.zeros(n, np.int64), np.zeros(n, np.int64)
        for i, c in enumerate(self.table):
            if not _runs(c.record, self.constant) or (only is not None and i not in only):
                continue
            layers += c.exists
            links += self._links(c)
            for key, rows in self._keys(c):
                kernels.setdefault(key, []).append(rows)
        found = [(key, np.concatenate(rows)) for key, rows in kernels.items()]
        first = next(i for i, c in enumerate(self.table) if INPUT in c.record.inputs)
        boundaries = list(self._input()) if only is None or first in only else []
        blocks = np.stack([links, 0 * links, 0 * links], axis=1)  # as if convolutions read them all
        return Work(found, boundaries, layers, links, blocks)

    def _input(self) -> Iterator[tuple[BoundaryKey, Rows]]:
        takes = self.batch.space.outline.takes
        rows = np.flatnonzero(self.stored8[-1])
        if len(takes) == 1 and len(rows):
            _, *sizes = takes[0][0]
            c, h, w = sizes if len(sizes) == 3 else (sizes[-1], int(np.prod(sizes[:-1])), 1)
            yield BoundaryKey("quantize" if len(sizes) == 3 else "quantize tokens", c, h, w), rows

    def _links(self, c: Columns) -> Ints:
        """(n,) float values of pictures that come from another float layer."""
        total = np.zeros(len(self.batch), np.int64)
        for i in self._read(c.record):
            made = self._made(c, i)
            if c.record.inputs[i] not in self.constant and len(made) == 4:
                producer = c.inputs[:, i]
                floats = c.exists & ~c.runs8 & (producer >= 0) & ~self.stored8[at_each(producer)]
                total += np.where(floats, made[1] * made[2] * made[3], 0)
        return total

    def _read(self, r: Record) -> list[int]:
        assert r.call is not None
        return reads(r.call) if r.kind == "call" else [0]

    def _made(self, c: Columns, i: int) -> tuple[Ints, ...]:
        """Sizes (n,) each of an input, for the batch of a call."""
        producers = np.unique(c.inputs[c.exists, i])
        each = [self._of(int(p)) for p in producers] or [self._of(-1)]
        sizes = each[0]
        for producer, other in zip(producers[1:], each[1:], strict=True):
            here = c.inputs[:, i] == producer
            sizes = tuple(np.where(here, b, a) for a, b in zip(sizes, other, strict=True))
        return sizes

    def _of(self, producer: int) -> tuple[Ints, ...]:
        outline = self.batch.space.outline
        if producer < 0:
            one = np.ones(len(self.batch), np.int64)
            return tuple([(self.size * -s if s < 0 else s) * one for s in outline.takes[0][0]])
        r = outline.records[producer]
        assert r.call is not None
        sizes: CallSizes = self.sizes[r.path]
        if r.kind == "parameter":
            return sizes.held
        return tuple([s * self.size if i in r.call.batched else s for i, s in enumerate(sizes.made)])

    def _keys(self, c: Columns) -> Iterator[tuple[CallKey, Rows]]:
        """Distinct keys of a record, with the networks that have them."""
        r = c.record
        rows = np.flatnonzero(c.exists)
        if not len(rows) or r.call is None:
            return
        read, own = self._read(r), self.sizes[r.path]
        held = own.held if r.kind in WEIGHTED or r.kind == "batch_norm" else ()
        shapes = [self._made(c, i) for i in read]
        stored = [self.stored8[at_each(c.inputs[:, i])] for i in read]
        columns = [self.formats.of(c), c.out8, *stored, *own.args, *held, *(s for shape in shapes for s in shape)]
        matrix = np.stack([np.broadcast_to(column, len(c.exists))[rows] for column in columns], axis=1)
        _, first, group = np.unique(packed(matrix.astype(np.int64)), return_index=True, return_inverse=True)
        for number, row in enumerate(matrix[first].tolist()):
            values = iter(row)
            form, target = next(values), next(values)
            eights = [next(values) for _ in read]
            args, options = _with(r.call.args, r.call.options, [next(values) for _ in own.args])
            sizes = tuple([next(values) for _ in held])
            inputs = tuple(
                (self._form(r.inputs[i], eight), tuple([next(values) for _ in shape]))
                for i, eight, shape in zip(read, eights, shapes, strict=True)
            )
            renumbered = {index: Given(place) for place, index in enumerate(read)}
            weight = "" if not held else self.formats.names[form]
            if operation_name(r.call.op) in RESHAPES and inputs[0][0] != "u8":  # whatever the shapes: nothing moves
                args, inputs = (Given(read[0]), (-1,)), ((inputs[0][0], (math.prod(inputs[0][1]),)),)
            yield CallKey(
                r.kind, r.call.op, _renumbered(args, renumbered),
                tuple((k, _renumbered(v, renumbered)) for k, v in options if k != "device"), inputs, sizes, weight,
                "u8" if target else "f32", str(r.activation),
            ), rows[group.reshape(-1) == number]  # fmt: skip

    def _form(self, name: str, eight: int) -> str:
        dtype = self._dtype(name)
        if name in self.constant:
            return f"held {dtype}"
        return "u8" if eight else dtype

    def _dtype(self, name: str) -> str:
        outline = self.batch.space.outline
        if name == INPUT:
            return outline.takes[0][1]
        r = outline.records[self.at[name]]
        return self._dtype(r.inputs[1]) if r.call is None else r.call.dtype


def _runs(r: Record, constant: set[str]) -> bool:
    """Whether a record is work."""
    if r.call is None or r.path in constant or r.kind == "output":
        return False
    return r.kind != "call" or operation_name(r.call.op) not in _UNCOUNTED


def _with(args: Any, options: Any, sizes: Sequence[int]) -> tuple[Any, Any]:
    """Arguments with numbers in place of sizes, in order."""
    left = iter(sizes)

    def filled(value: Any) -> Any:
        if isinstance(value, tuple):
            return tuple([filled(item) for item in value])
        return next(left) if isinstance(value, Axis) else value

    made = filled(args)
    return made, tuple((name, filled(value)) for name, value in options)


def _renumbered(value: Any, numbers: Mapping[int, Given]) -> Any:
    if isinstance(value, Given):
        return numbers.get(value.index, value)
    return tuple([_renumbered(item, numbers) for item in value]) if isinstance(value, tuple) else value
