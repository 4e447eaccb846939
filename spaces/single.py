"""From records to the layers of one architecture: what :mod:`spaces.resolve` says, at the speed of a look-up.

A supernet changes its architecture at every step, so this must be quick. What a record becomes depends on the choices
it reads and on the shapes of its inputs alone, and few combinations of these occur: each is derived once, by
:mod:`spaces.resolve`, and kept.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from spaces.axis import Axis, Ranges
from spaces.choice import Value
from spaces.layers import (
    FUSED,
    INPUT,
    WEIGHTED,
    Bools,
    Chosen,
    Field,
    Ints,
    Joined,
    Layer,
    Lookup,
    Position,
    Record,
    Scaled,
    Split,
)
from spaces.resolve import RUNS8, chosen_precision, chosen_word, draft_of, whole

_MOST_KEPT = 2_000  # forms of one record; beyond that they are derived anew
State = tuple[str, int, int, int]
"""What a reader sees of a record: who made it (``"input"`` or a path), channels, height, width."""
_SIZES = ("kernel", "stride", "groups", "heads", "kv_heads", "rows")
_NOTHING = np.zeros(1, np.int64)
_Typed = tuple[type, Value] | None
_Formats = tuple[bool, bool, bool]


@dataclass(frozen=True)
class _Form:
    """A record as one combination of choices and inputs makes it; ``layers`` by their formats, none of a select."""

    state: State
    layers: dict[_Formats, Layer]


@dataclass(frozen=True)
class _Entry:
    """A record, when it is there (choice -> values), the choices its fields read, and its forms so far."""

    record: Record
    when: tuple[tuple[str, frozenset[_Typed]], ...]
    names: tuple[str, ...]
    kept: dict[Any, _Form]


class Resolver:
    """Layers of one architecture at a time, over an input of this shape (c, h, w), sizes of which may be chosen."""

    def __init__(self, records: Sequence[Record], input_shape: Sequence[Field]) -> None:
        self._input = tuple(input_shape)
        self._entries = [_Entry(r, _conditions_of(r), choices_of(r), {}) for r in records]

    def layers(self, architecture: Mapping[str, Value]) -> tuple[Layer, ...]:
        """The present layers, in order; ``inputs`` name present ones."""
        typed: dict[str, _Typed] = {name: (type(value), value) for name, value in architecture.items()}
        read = _Reader(architecture)
        c, h, w = map(read.number, self._input)
        states: dict[str, State] = {INPUT: (INPUT, c, h, w)}
        present: list[_Form] = []
        for entry in self._entries:
            record, kept = entry.record, entry.kept
            if entry.when and not _holds(entry.when, typed):
                states[record.path] = states[record.inputs[0]]
                continue
            inputs = tuple([states[name] for name in record.inputs])
            key = (tuple([typed.get(name) for name in entry.names]), inputs)
            form = kept.get(key)
            if form is None:
                if len(kept) >= _MOST_KEPT:
                    kept.clear()
                form = kept[key] = _form(record, inputs, read)
            states[record.path] = form.state
            if form.layers:
                present.append(form)
        return _stored(present)


def _holds(when: tuple[tuple[str, frozenset[_Typed]], ...], typed: Mapping[str, _Typed]) -> bool:
    for name, values in when:  # noqa: SIM110 - twice as fast as all() here, and this is where the time goes
        if typed.get(name) not in values:
            return False
    return True


def _stored(present: Sequence[_Form]) -> tuple[Layer, ...]:
    """The layers with their formats: the rule of :mod:`spaces.resolve`, one layer after the other."""
    drafts = [form.layers[False, False, False] for form in present]
    quantized = [y for y in drafts if y.precision.integer]
    if not quantized:
        return tuple(drafts)
    wanted = {name for y in quantized for name in y.inputs}
    stored, found = set(wanted), []
    for form, y in zip(present, drafts, strict=True):
        inputs8 = [name in stored for name in y.inputs]
        runs8 = y.precision.integer if y.kind in WEIGHTED else y.kind in RUNS8 and all(inputs8)
        if y.kind in WEIGHTED:
            stored |= {y.path} if runs8 and y.kind == "conv" and y.activation in FUSED else set()
        else:
            runs8 = runs8 and y.path in wanted
        formats = runs8, inputs8[0], y.path in stored
        if formats not in form.layers:
            form.layers[formats] = replace(y, runs8=runs8, in8=formats[1], out8=formats[2])
        found.append(form.layers[formats])
    return tuple(found)


class _Reader:
    """The choices of one architecture, and what fields make of them: of axes, which many records share, only once."""

    def __init__(self, architecture: Mapping[str, Value]) -> None:
        self._architecture = architecture
        self._axes: dict[Axis, int] = {}
        self._ranges: dict[Axis, Ranges] = {}

    def __call__(self, name: str) -> tuple[Bools, list[Value], Ints]:
        """As :data:`spaces.resolve.Read` says, of one architecture."""
        present = name in self._architecture
        return np.array([present]), [self._architecture[name] if present else 0], _NOTHING

    def number(self, field: Field) -> int:
        """A field that does not depend on the layer's input."""
        if type(field) is int:
            return field
        if not isinstance(field, Axis):
            return int(whole(field, _NOTHING, self)[0])
        if field not in self._axes:
            self._axes[field] = int(field.places(self._size))
        return self._axes[field]

    def ranges(self, axis: Axis) -> Ranges:
        """See :meth:`Axis.ranges`."""
        if axis not in self._ranges:
            self._ranges[axis] = axis.ranges(self._size)
        return self._ranges[axis]

    def _size(self, name: str) -> Any:
        return self._architecture.get(name, 0)


def _form(r: Record, inputs: tuple[State, ...], read: _Reader) -> _Form:
    """The record resolved by itself."""
    if r.kind == "select":
        return _Form(inputs[read.number(r.rows)], {})
    sizes: dict[str, Any] = {name: read.number(getattr(r, name)) for name in _SIZES} if r.call is not None else {}
    call = None
    if r.call is not None:
        call = r.call.resolved(read.number, read.ranges)
        sizes |= zip(("c_in", "h", "w"), map(read.number, r.call.reads), strict=True)
        sizes |= zip(("c_out", "out_h", "out_w"), map(read.number, r.call.shape), strict=True)
    else:
        shapes = [tuple(np.array([size], np.int64) for size in state[1:]) for state in inputs]
        draft = draft_of(r, np.ones(1, np.bool_), np.zeros((1, len(inputs)), np.int64), shapes, 1, read)
        sizes |= {name: int(draft[name][0]) for name in (*_SIZES, "c_in", "h", "w", "c_out", "out_h", "out_w")}
    precisions, which = chosen_precision(r.precision, 1, read)
    activations, after = chosen_word(r.activation, 1, read)
    layer = Layer(
        path=r.path, kind=r.kind, inputs=tuple([state[0] for state in inputs]), norm=r.norm,
        activation=activations[after[0]], precision=precisions[which[0]],
        runs8=False, in8=False, out8=False, dilation=r.dilation, padding=r.padding, bias=r.bias, causal=r.causal,
        weight_of=r.weight_of, call=call, **sizes,
    )  # fmt: skip
    made = (layer.c_out, layer.out_h, layer.out_w) if r.call is None else (0, 0, 0)  # calls say what they read
    return _Form((r.path, *made), {(False, False, False): layer})


def _conditions_of(r: Record) -> tuple[tuple[str, frozenset[_Typed]], ...]:
    return tuple((c.name, frozenset((type(v), v) for v in c.values)) for c in r.exists_when)


def choices_of(r: Record) -> tuple[str, ...]:
    """Names of the choices that its fields read."""
    fields: list[Any] = [r.out, r.kernel, r.stride, r.groups, r.heads, r.kv_heads, r.rows, r.precision, r.activation]
    return names_in([*fields, *([] if r.call is None else r.call.fields())])


def names_in(given: Iterable[Any]) -> tuple[str, ...]:
    """Names of the choices that fields read."""
    found: list[str] = []
    fields = list(given)
    while fields:
        match fields.pop():
            case Chosen(name=name) | Position(name=name) | Lookup(name=name):
                found.append(name)
            case Scaled(base=base, by=by, over=over):
                fields += [base, by, over]
            case Joined(parts=parts):
                fields += parts
            case Axis(names=names):
                found += names
            case Split() as split:
                fields += split.parts
    return tuple(dict.fromkeys(found))
