"""Whether the layers of a space fit together, in its extremes and in architectures drawn from it."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from spaces.batch import Batch
from spaces.extremes import with_words
from spaces.layers import WEIGHTED, Columns, Ints
from spaces.precision import Place, Precision, Refused, refusal
from spaces.randomness import generator
from spaces.space import Space

_DRAWN = 64


def unsound(space: Space) -> list[str]:
    """What does not fit, a line per layer; empty if nothing was found."""
    if not space.outline.records:
        return []
    batch = _some(space)
    table, given = space.outline.table(batch), space.outline.input_sizes(batch)
    problems: list[str] = []
    for c in table:
        for wrong, what in _tests(c, table, given):
            rows = np.flatnonzero(wrong & c.exists)
            if len(rows):
                problems.append(
                    f"layer {c.record.path}: {what(int(rows[0]))}; for example in {batch[int(rows[0])].to_json()}"
                )
                break
    return problems


def misplaced(space: Space) -> Iterator[tuple[str, Precision, Refused]]:
    """(path of a layer, a precision that it may have and cannot work there, why)."""
    if not any(r.kind in WEIGHTED and r.precision != "float" for r in space.outline.records):
        return
    for c in space.outline.table(_some(space)):
        if c.record.kind not in WEIGHTED or not c.exists.any():
            continue
        terms = np.unique((c.c_in // np.maximum(c.groups, 1))[c.exists]).tolist()
        padded = c.record.kind == "conv" and (c.kernel.max() > 1 if c.record.padding is None else c.record.padding)
        places = (
            Place("weight", inputs=terms),
            Place("input", bool(padded), inputs=np.unique(c.c_in[c.exists]).tolist()),
        )
        for found in dict.fromkeys(c.precisions):
            for spec, place in zip((found.weight, found.input), places, strict=True):
                if spec is not None and (wrong := refusal(spec, place)) is not None:
                    yield c.record.path, found, wrong


def _some(space: Space) -> Batch:
    """The extremes of a space and some architectures drawn from it."""
    rng = generator(0, "spaces.sound")
    drawn = [space.sample_many(_DRAWN, rng, by_choice).codes for by_choice in (False, True)]
    ends = [with_words(space, pick, "float", {}) for pick in (min, max)]  # nothing is counted of what may be unsound
    extremes = space.batch(ends).codes
    return Batch(space, np.concatenate([extremes, *drawn]))


def _tests(c: Columns, table: tuple[Columns, ...], given: Ints):  # type: ignore[no-untyped-def]
    yield (c.out_h < 1) | (c.out_w < 1), lambda i: f"nothing is left of its input of {c.h[i]}x{c.w[i]} places"
    yield c.c_out < 1, lambda i: f"it has {c.c_out[i]} channels"
    if c.record.kind == "conv":
        groups = np.maximum(c.groups, 1)
        yield (
            (c.c_in % groups > 0) | (c.c_out % groups > 0),
            lambda i: f"{c.c_in[i]} channels into {c.c_out[i]} cannot be parted into {c.groups[i]} groups",
        )
    if c.record.kind == "attention":
        heads = np.maximum(c.heads, 1)
        shared = np.where(c.kv_heads > 0, c.kv_heads, heads)
        yield c.c_in % heads > 0, lambda i: f"{c.c_in[i]} features cannot be parted into {heads[i]} heads"
        yield heads % shared > 0, lambda i: f"{heads[i]} heads cannot share {shared[i]} heads of keys and values"
    if c.record.kind == "add":
        shapes = [_of(column, table, given) for column in c.inputs.T]
        for other in shapes[1:]:
            yield (
                np.any(other != shapes[0], axis=0),
                lambda i, other=other: (
                    f"it adds {_x(shapes[0][:, i])} and {_x(other[:, i])} (channels x height x width)"
                ),
            )


def _of(column: Ints, table: tuple[Columns, ...], given: Ints) -> Ints:
    """Shapes (3, n) of one input of a layer; ``given`` is that of the network's input."""
    shape = given
    for i in np.unique(column[column >= 0]):
        producer = table[i]
        shape = np.where(column == i, np.stack([producer.c_out, producer.out_h, producer.out_w]), shape)
    return shape


def _x(shape: Ints) -> str:
    return "x".join(map(str, shape.tolist()))
