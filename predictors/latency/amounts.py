"""What a key of the latency table is of, and how much: for planning what to measure, and for predicting the rest."""

from __future__ import annotations

import math
from dataclasses import dataclass

from predictors.latency.key import BoundaryKey, CallKey, Key, LayerKey
from spaces.layers import WEIGHTED

_VALUE_MACS = 20  # multiplications in the time that a value takes to be read or written
_CHANNELS = 16  # that an integer kernel computes at once
_NOTHING = ("",) * 6  # what other keys than layers' have of the parts of a kind


@dataclass(frozen=True)
class Amounts:
    """``kind``: what keys have in common that differ in sizes alone, in seven parts. The counts are of one call."""

    kind: tuple[str, ...]
    macs: float
    read: float
    written: float
    weights: float = 1.0
    c_in: int = 1
    c_out: int = 1
    taps: int = 1

    @property
    def effort(self) -> float:
        """Multiplications, about, with reading and writing."""
        return self.macs + _VALUE_MACS * (self.read + self.written)

    @property
    def sizes(self) -> tuple[float, ...]:
        """Logs of the counts, and of what channels lack to whole blocks."""
        counts = (self.macs, self.read, self.written, self.weights, self.c_in, self.c_out, self.taps)
        lacks = (-(-c // _CHANNELS) * _CHANNELS / c for c in (self.c_in, self.c_out))
        return tuple(math.log(max(value, 1)) for value in (*counts, *lacks))


def amounts(key: Key) -> Amounts:
    """Of any key."""
    match key:
        case LayerKey():
            return _of_layer(key)
        case CallKey():
            return _of_call(key)
        case BoundaryKey():
            values = float(key.c * key.h * key.w)
            return Amounts((key.op, *_NOTHING), 1, values, values, c_in=key.c, c_out=key.c)


def _of_layer(key: LayerKey) -> Amounts:
    grouped = "" if key.groups == 1 else "depthwise" if key.groups == key.c_in else "grouped"
    places = key.h * key.w
    made = places / max(key.stride, 1) ** 2
    weights = key.c_in / max(key.groups, 1) * key.c_out * max(key.kernel, 1) ** 2 if key.op in WEIGHTED else 1.0
    macs = weights * made if key.op in WEIGHTED else places * key.others * (key.c_in + key.c_out)
    return Amounts(
        (key.op, grouped, key.weight, key.source, key.target, key.activation, key.lies),
        key.batch * macs, key.batch * key.c_in * places, key.batch * key.c_out * made, weights, key.c_in, key.c_out,
        max(key.kernel, 1) ** 2,
    )  # fmt: skip


def _of_call(key: CallKey) -> Amounts:
    """What is written is not in the key; the sizes of other inputs stand in its place."""
    forms = " ".join(form for form, _ in key.inputs)
    kind = (key.call, str(key.args), str(key.options), forms, key.weight, key.target, key.activation)
    read, *others = [float(math.prod(sizes)) for _, sizes in key.inputs] or [1.0]
    if not key.held or key.op not in WEIGHTED:
        return Amounts(kind, 1, read, sum(others))
    c_out, c_in, *taps = key.held
    weights = float(math.prod(key.held))
    return Amounts(kind, weights * read / c_in, read, read / c_in * c_out, weights, c_in, c_out, math.prod(taps))
