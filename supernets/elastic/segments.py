"""Where the channels of a layer's input stand in the largest one: a prefix, but for what follows a concatenation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import accumulate

from spaces import INPUT, Layer
from spaces.axis import Ranges
from spaces.extent import Extent

_KEEP = frozenset(
    {"activation", "add", "append", "avg_pool", "class_token", "first", "max_pool", "multiply", "norm", "pool",
     "position", "rms_norm", "sinusoid", "tokens", "upsample"}
)  # fmt: skip
"""Kinds whose output has the channels of the first input; those not named here have a prefix of their own."""


def located(layers: Sequence[Layer], extents: Mapping[str, Extent], channels: int) -> tuple[Layer, ...]:
    """The same layers, over an input of so many ``channels``; ``channels`` of those that read no prefix are set."""
    if not any(y.kind == "concat" or (y.kind == "flatten" and _fewer_places(y, extents[y.path])) for y in layers):
        return tuple(layers)
    found: dict[str, Ranges] = {INPUT: ((0, channels),)}
    result = []
    for y in layers:
        given = [found[name] for name in y.inputs]
        found[y.path] = _made(y, given, extents[y.path])
        result.append(y if _prefix(given[0]) else replace(y, channels=given[0]))
    return tuple(result)


def _fewer_places(y: Layer, most: Extent) -> bool:
    return (y.h, y.w) != (most.h, most.w)


def _prefix(ranges: Ranges) -> bool:
    return len(ranges) == 1 and ranges[0][0] == 0


def _made(y: Layer, given: Sequence[Ranges], most: Extent) -> Ranges:
    """Where the channels of its output stand in the largest output."""
    first = given[0]
    if y.kind == "concat":
        starts = [0, *accumulate(most.parts)]
        return _merged([(start + a, start + b) for start, part in zip(starts, given, strict=False) for a, b in part])
    if y.kind in _KEEP or (y.kind == "conv" and y.groups == y.c_in == y.c_out):
        return first
    if y.kind == "flatten":
        return _flattened(first, y, most)
    if y.kind == "shuffle" and not any(a % y.stride**2 or b % y.stride**2 for a, b in first):
        return tuple((a // y.stride**2, b // y.stride**2) for a, b in first)
    return ((0, y.c_out),)


def _flattened(channels: Ranges, y: Layer, most: Extent) -> Ranges:
    """Each channel becomes its places: where there are fewer of these, they are the first rows and columns."""
    if not _fewer_places(y, most):
        return _merged([(a * y.h * y.w, b * y.h * y.w) for a, b in channels])
    rows = [(c * most.h + i) * most.w for a, b in channels for c in range(a, b) for i in range(y.h)]
    return _merged([(row, row + y.w) for row in rows])


def _merged(ranges: Sequence[tuple[int, int]]) -> Ranges:
    """Adjacent ranges as one."""
    merged: list[tuple[int, int]] = []
    for start, stop in ranges:
        if merged and merged[-1][1] == start:
            merged[-1] = merged[-1][0], stop
        else:
            merged.append((start, stop))
    return tuple(merged)
