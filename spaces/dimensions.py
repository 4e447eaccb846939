"""Which dimension of a network each choice makes elastic: its kernels, depth, widths or precision."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields, is_dataclass
from typing import Any, Literal

from spaces.choice import Choice, Value
from spaces.layers import Chosen, Lookup, Position, Split
from spaces.precision import parse
from spaces.space import Space

Dimension = Literal["kernel", "depth", "width", "precision"]
DIMENSIONS: tuple[Dimension, ...] = ("kernel", "depth", "width", "precision")


def dimensions(space: Space) -> dict[str, Dimension]:
    """Name of every choice -> its dimension.

    A choice of operations or of the resolution counts as ``kernel``; one that says which layers are there as ``depth``;
    one that sets anything else (channels, heads, strides, groups) as ``width``. The first that fits, in the order
    precision, kernel, depth, width.
    """
    found: dict[str, Dimension] = {}

    def note(names: Iterator[str], dimension: Dimension) -> None:
        found.update((name, dimension) for name in names if name not in found)

    records = space.outline.records
    for r in records:
        note(_names(r.precision), "precision")
    note(_names(space.outline.resolution), "kernel")
    for r in records:
        note(_names(r.kernel), "kernel")
        note(_names(r.rows), "kernel")
    words = {c.name for c in space.choices if not all(isinstance(v, int | float) for v in c.values)}
    for r in records:
        for condition in r.exists_when:
            note(iter([condition.name]), "kernel" if condition.name in words else "depth")
    return {c.name: found.get(c.name, "kernel" if c.name in words else "width") for c in space.choices}


def bit_choices(space: Space) -> frozenset[str]:
    """Names of the choices that set bits: of a precision, or of the weight or the input alone."""
    split = [r.precision for r in space.outline.records if isinstance(r.precision, Split)]
    alone = {name for precision in split for name in (*_names(precision.weight), *_names(precision.input))}
    return space.outline.precision_choices | alone


def bits(name: str) -> tuple[int, int]:
    """Bits of a product under the precision of this name, and of the weight; ``float`` counts 32."""
    precision = parse(name)
    weight, given = (32 if spec is None else spec.bits for spec in (precision.weight, precision.input))
    return weight * given, weight


def descending(space: Space, choice: Choice) -> tuple[Value, ...] | None:
    """Its values, the largest or the most precise first; ``None`` for words, which have no order."""
    if choice.name in space.outline.precision_choices:
        return tuple(sorted(choice.values, key=lambda name: bits(str(name)), reverse=True))
    if all(isinstance(v, int | float) for v in choice.values):
        return tuple(sorted(choice.values, key=float, reverse=True))
    return None


def _names(field: Any) -> Iterator[str]:
    """Names of the choices that a field of a record reads."""
    if isinstance(field, Chosen | Lookup | Position):
        yield field.name
    elif is_dataclass(field):
        for inner in fields(field):
            yield from _names(getattr(field, inner.name))
    elif isinstance(field, tuple):
        for item in field:
            yield from _names(item)
