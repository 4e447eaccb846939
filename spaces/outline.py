"""The layers of a space as pure data.

A record's field is a constant or the name of a choice. Shapes, tensor formats and neighbours are derived in one place,
:mod:`spaces.resolve`, for one architecture and for many.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, fields, is_dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from spaces.choice import Value
from spaces.decode import NotAnOutline, field, record
from spaces.layers import INPUT, WEIGHTED, Bools, Chosen, Columns, Field, Ints, Layer, Record
from spaces.resolve import number, resolve, whole
from spaces.single import Resolver

if TYPE_CHECKING:
    from spaces.architecture import Architecture
    from spaces.batch import Batch


Takes = tuple[tuple[tuple[int, ...], str], ...]
"""Sizes and type of each input of a traced network."""


class CallSizes(NamedTuple):
    """Of a traced record over n architectures, (n,) each: of what it gives, among its arguments, of what it holds."""

    made: tuple[Ints, ...]
    args: tuple[Ints, ...]
    held: tuple[Ints, ...]


@dataclass(frozen=True)
class Outline:
    """The graph of layers of a space.

    ``input_shape`` is (c, h, w), with a chosen ``resolution`` the largest; ``classes`` the values of the output.
    ``takes``: of a traced network sizes and type of each input, -1 for the batch.
    """

    input_shape: tuple[int, int, int]
    classes: int
    records: tuple[Record, ...]
    resolution: Field | None = None  # height and width
    takes: Takes = ()

    @property
    def _input(self) -> tuple[Field, Field, Field]:
        c, h, w = self.input_shape
        return (c, h, w) if self.resolution is None else (c, self.resolution, self.resolution)

    def to_json(self) -> dict[str, Any]:
        """Plain data, for digests; what a record leaves at its default is left out, so that new fields change none."""
        return {
            "input_shape": list(self.input_shape),
            "classes": self.classes,
            "records": [_plain(record) for record in self.records],
            **({} if self.resolution is None else {"resolution": _plain(self.resolution)}),
            **({"takes": _plain(self.takes)} if self.takes else {}),
        }

    @classmethod
    def from_json(cls, data: Any) -> Outline:
        """What :meth:`to_json` wrote, exactly. Raises :class:`spaces.decode.NotAnOutline`."""
        known = {"input_shape", "classes", "records"}
        if not isinstance(data, dict) or not known <= set(data) <= {*known, "resolution", "takes"}:
            raise NotAnOutline("an outline has the keys input_shape, classes, records [wrong-outline]")
        shape = tuple(data["input_shape"])
        if len(shape) != 3 or any(type(size) is not int for size in shape):
            raise NotAnOutline("input_shape must be three whole numbers [wrong-outline]")
        resolution = field(data["resolution"]) if "resolution" in data else None
        records = tuple(map(record, data["records"]))
        known_paths = {INPUT}
        for r in records:
            if missing := [name for name in r.inputs if name not in known_paths]:
                raise NotAnOutline(f"{r.path}: reads {missing[0]!r}, which stands nowhere before it [wrong-outline]")
            known_paths.add(r.path)
        return cls((shape[0], shape[1], shape[2]), data["classes"], records, resolution, field(data.get("takes", [])))

    @property
    def precision_choices(self) -> frozenset[str]:
        """Names of the choices that set a precision."""
        return frozenset(r.precision.name for r in self.records if isinstance(r.precision, Chosen))

    def layers(self, architecture: Architecture) -> tuple[Layer, ...]:
        """The present layers of one architecture, in order."""
        return self._resolver.layers(architecture)

    @cached_property
    def _resolver(self) -> Resolver:
        return Resolver(self.records, self._input)

    def table(self, batch: Batch) -> tuple[Columns, ...]:
        """Every record resolved over a batch, in order."""
        return resolve(self.records, self._input, len(batch), lambda name: of_batch(batch, name))

    def sizes(self, batch: Batch) -> dict[str, CallSizes]:
        """Sizes of every traced record, by its path."""
        nothing = np.zeros(len(batch), np.int64)

        def numbers(found: Iterable[Field]) -> tuple[Ints, ...]:
            return tuple([whole(f, nothing, lambda name: of_batch(batch, name)) for f in found])

        calls = [(r.path, r.call) for r in self.records if r.call is not None]
        return {p: CallSizes(numbers(c.dims), numbers(c.sizes()), numbers(c.weight)) for p, c in calls}

    def input_sizes(self, batch: Batch) -> Ints:
        """Channels, height and width of the network's input (3, n)."""
        nothing = np.zeros(len(batch), np.int64)
        sizes: Ints = np.array([number(f, nothing, lambda name: of_batch(batch, name)) for f in self._input], np.int64)
        return sizes


def _plain(value: Any) -> Any:
    if isinstance(value, tuple):
        return [_plain(item) for item in value]
    if not is_dataclass(value):
        return value
    given = {f.name: getattr(value, f.name) for f in fields(value)}
    return {f.name: _plain(given[f.name]) for f in fields(value) if given[f.name] != f.default}


def of_batch(batch: Batch, name: str) -> tuple[Bools, list[Value], Ints]:
    """As :data:`spaces.resolve.Read` says, of the architectures of a batch."""
    column = batch.space.column.get(name)
    if column is None:  # nothing in a restricted space makes it present
        return np.zeros(len(batch), np.bool_), [0], np.zeros(len(batch), np.int64)
    codes = batch.codes[:, column].astype(np.int64)
    return codes >= 0, list(batch.space.choices[column].values), np.maximum(codes, 0)


__all__ = ["INPUT", "WEIGHTED", "CallSizes", "Chosen", "Columns", "Layer", "Outline", "Record", "Takes"]
