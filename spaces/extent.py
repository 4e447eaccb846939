"""The largest form of every record: what a supernet must hold so that each architecture is a slice of it.

Sizes are bounded record by record, from the input on, each field at its largest value: choices that exclude each other
(the alternatives of an edge) leave no architecture in which every record has its largest form.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from spaces.axis import Axis
from spaces.choice import Choice, Condition, Value
from spaces.knowledge import Knowledge
from spaces.layers import INPUT, Bools, Chosen, Field, Ints, Joined, Lookup, Position, Record, Scaled
from spaces.resolve import whole
from spaces.shapes import RULES, Sizes

Pick = Literal["least", "most"]
_Shape = tuple[int, int, int]


@dataclass(frozen=True)
class Extent:
    """The largest form of a record; sizes as in :class:`spaces.layers.Layer`.

    ``terms`` are the input channels that one output channel reads, which groups make fewer; ``parts`` the channels of
    each input.
    """

    c_in: int
    c_out: int
    kernel: int
    terms: int
    rows: int
    h: int
    w: int
    parts: tuple[int, ...]


def extents(
    records: Sequence[Record], input_shape: tuple[int, int, int], choices: Sequence[Choice]
) -> dict[str, Extent]:
    """Path -> the largest form; ``input_shape`` (c, h, w) is the largest one."""
    walk = _Walk(records, input_shape, choices)
    return {r.path: walk.extent(r) for r in records if r.kind != "select"}


class _Walk:
    """Records in order; of each, what it makes of its largest inputs."""

    def __init__(self, records: Sequence[Record], shape: _Shape, choices: Sequence[Choice]) -> None:
        self._records = {r.path: r for r in records}
        self._input = shape
        self._values = {choice.name: choice.values for choice in choices}
        self._nothing = Knowledge({choice.name: choice for choice in choices})
        self._made: dict[str, _Shape] = {}
        self._alternatives: dict[tuple[str, int], _Shape] = {}

    def extent(self, r: Record) -> Extent:
        """The largest form of a record whose inputs came before."""
        here = self._nothing.where(r.exists_when)
        given = [self._seen(name, here) for name in r.inputs]
        c_in, h, w = given[0]

        def bound(field: Field, pick: Pick) -> int:
            return _bound(field, c_in, self._values, pick)

        if r.call is not None:
            return self._called(r, lambda field: bound(field, "most"))
        ends: tuple[Pick, Pick] = ("least", "most")
        made = self._made[r.path] = _most(
            [_shape(r, given, bound, kernel, stride) for kernel in ends for stride in ends]
        )
        terms = -(-c_in // max(1, bound(r.groups, "least")))
        parts = tuple(c for c, _, _ in given)
        return Extent(c_in, made[0], bound(r.kernel, "most"), terms, bound(r.rows, "most"), h, w, parts)

    def _called(self, r: Record, most: Callable[[Field], int]) -> Extent:
        """Of a traced call, which says its shapes."""
        assert r.call is not None
        c_in, h, w = (most(size) for size in r.call.reads)
        made = self._made[r.path] = (most(r.call.shape[0]), most(r.call.shape[1]), most(r.call.shape[2]))
        return Extent(c_in, made[0], most(r.kernel), c_in, 0, h, w, (c_in,))

    def _seen(self, name: str, here: Knowledge) -> _Shape:
        """The largest shape that a reader finds at ``name``: of the record, or of what stands there in its place."""
        found: list[_Shape] = []
        while name != INPUT and here.possible:
            r = self._records[name]
            if r.kind == "select":
                return _most([*found, *self._selected(r, here)])
            there = here.holds(r.exists_when)
            if there is not False:
                found.append(self._made[name])
            if there:
                return _most(found)
            name, here = r.inputs[0], here.without(r.exists_when) if there is None else here
        return _most([*found, self._input] if here.possible else found)

    def _selected(self, r: Record, here: Knowledge) -> list[_Shape]:
        """Shapes of the inputs that a ``select`` may stand for."""
        if not isinstance(r.rows, Position):
            return [self._seen(name, self._nothing) for name in r.inputs]
        switch = r.rows.name
        possible = here.of(switch)
        places = [i for i, value in enumerate(r.rows.values) if (type(value), value) in possible]
        for i in places:
            if (r.path, i) not in self._alternatives:
                inner = self._nothing.where((Condition(switch, (r.rows.values[i],)),))
                self._alternatives[r.path, i] = self._seen(r.inputs[i], inner)
        first = [self._seen(r.inputs[0], self._nothing)] if possible - {(type(v), v) for v in r.rows.values} else []
        return [self._alternatives[r.path, i] for i in places] + first


def _shape(r: Record, given: Sequence[_Shape], bound: Any, kernel: Pick, stride: Pick) -> _Shape:
    """The largest shape, of this kernel and stride, that it makes: both may make it smaller, or larger."""
    sizes = Sizes(
        out=None if r.out is None else _one(bound(r.out, "most")),
        kernel=_one(bound(r.kernel, kernel)),
        stride=_one(max(1, bound(r.stride, stride))),
        dilation=r.dilation,
        padding=r.padding,
        rows=_one(bound(r.rows, "most")),
    )
    c, h, w = RULES[r.kind]([(_one(c), _one(h), _one(w)) for c, h, w in given], sizes)
    return int(c[0]), int(h[0]), int(w[0])


def _most(shapes: Sequence[_Shape]) -> _Shape:
    c, h, w = (max(sizes) for sizes in zip(*shapes, strict=True))
    return c, h, w


def _bound(field: Field, c_in: int, values: Mapping[str, Sequence[Value]], pick: Pick) -> int:
    """The least or the most that a field gives: fields grow with every choice they read, but for divisors."""

    def read(name: str) -> tuple[Bools, list[Value], Ints]:
        numbers = [v for v in values[name] if not isinstance(v, str)] or [0]
        return np.ones(1, np.bool_), [min(numbers) if pick == "least" else max(numbers)], np.zeros(1, np.int64)

    match field:
        case Chosen(otherwise=otherwise):
            found = [int(whole(field, _one(c_in), read)[0]), *([] if otherwise is None else [int(otherwise)])]
            return min(found) if pick == "least" else max(found)
        case Lookup(table=table):
            numbers = [number for _, number in table]
            return min(numbers) if pick == "least" else max(numbers)
        case Axis():
            return field.most
        case Position(values=known):
            return 0 if pick == "least" else len(known) - 1
        case Scaled(base=base, by=by):
            over = _kept(field.over, c_in, values, "most" if pick == "least" else "least")
            factors = (_kept(base, c_in, values, pick), _kept(by, c_in, values, pick))
            fixed = Scaled(*factors, field.multiple, field.keep, over)
            return int(whole(fixed, _one(c_in), read)[0])
        case Joined(parts=parts):
            return sum(_bound(part, c_in, values, pick) for part in parts)
        case _:
            return int(whole(field, _one(c_in), read)[0])


def _kept(field: Field, c_in: int, values: Mapping[str, Sequence[Value]], pick: Pick) -> int | float:
    """As :func:`_bound`, of a factor, which may be a fraction."""
    if isinstance(field, float):
        return field
    if isinstance(field, Chosen):
        numbers: list[Any] = [v for v in values[field.name] if not isinstance(v, str)]
        numbers += [] if field.otherwise is None else [field.otherwise]
        found: int | float = min(numbers) if pick == "least" else max(numbers)
        return found
    return _bound(field, c_in, values, pick)


def _one(value: int) -> Ints:
    return np.array([value], np.int64)
