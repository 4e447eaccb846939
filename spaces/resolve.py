"""From records to shapes, formats and neighbours: resolved here once, over many architectures at a time.

Tensor formats follow one rule. A tensor is stored in 8 bits if a consumer with an integer kernel reads it, or if its
producer is one (which can only write integers); everyone reads the stored value. A layer whose precision has no integer
kernel is simulated: it runs in float, and rounds what it reads for itself. An add or a pool
runs in 8 bits if all its inputs are stored so and a consumer wants its output so; all other layers run in float.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cache
from itertools import product
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spaces import precision
from spaces.axis import Axis
from spaces.choice import Value, When, same
from spaces.layers import (
    FUSED,
    IN,
    INPUT,
    WEIGHTED,
    Bools,
    Chosen,
    Columns,
    Field,
    Ints,
    Joined,
    LayerPrecision,
    Lookup,
    Position,
    Record,
    Scaled,
    Split,
)
from spaces.precision import Precision, QuantSpec
from spaces.shapes import RULES, Sizes

Read = Callable[[str], tuple[Bools, Sequence[Value], Ints]]
"""Choice name -> (present (n,), its values (k,), position of the value (n,), any number where absent)."""

RUNS8 = frozenset({"add", "pool"})  # kinds without weights that have an integer kernel


Numbers = NDArray[Any]  # of integers or floats


def number(field: Field, c_in: Ints, read: Read) -> Numbers:
    """Value of a field (n,); 0 where its choice is absent and nothing is said for that."""
    match field:
        case Chosen():
            present, values, positions = read(field.name)
            numbers = np.array([0 if isinstance(v, str) else v for v in values])  # where absent, any value stands there
            found: Numbers = np.where(present, numbers[positions], 0 if field.otherwise is None else field.otherwise)
            return found
        case Position():
            present, values, positions = read(field.name)
            found_at = [next((i for i, known in enumerate(field.values) if same(known, v)), 0) for v in values]
            at: Numbers = np.where(present, np.array(found_at)[positions], 0)
            return at
        case Lookup():
            present, values, positions = read(field.name)
            beside = [next((n for known, n in field.table if same(known, v)), 0) for v in values]
            looked: Numbers = np.where(present, np.array(beside)[positions], 0)
            return looked
        case Scaled():
            product: Numbers = number(field.base, c_in, read) * number(field.by, c_in, read)
            if field.over != 1:
                product = product / np.maximum(number(field.over, c_in, read), 1)
            if field.multiple == 1 and product.dtype.kind == "i":
                return product
            rounded = np.floor(product / field.multiple + 0.5).astype(np.int64) * field.multiple
            rounded = np.maximum(rounded, field.multiple)
            kept: Numbers = np.where(field.keep & (rounded < 0.9 * product), rounded + field.multiple, rounded)
            return kept
        case Axis():
            size: Numbers = field.places(lambda name: number(Chosen(name), c_in, read)) + np.zeros_like(c_in)
            return size
        case Joined():
            added: Numbers = np.sum([number(part, c_in, read) for part in field.parts], axis=0)
            return added
        case str():
            assert field == IN, field
            return c_in
        case _:
            return np.broadcast_to(np.asarray(field), len(c_in))


def whole(field: Field, c_in: Ints, read: Read) -> Ints:
    """:func:`number` as integers (n,)."""
    return number(field, c_in, read).astype(np.int64, copy=False)


def chosen_precision(field: LayerPrecision, n: int, read: Read) -> tuple[tuple[Precision, ...], Ints]:
    """(the precisions that occur, the position (n,) of each architecture's among them)."""
    match field:
        case str():
            return (precision.parse(field),), np.zeros(n, np.int64)
        case Chosen():
            present, values, positions = read(field.name)
            pairs = [precision.parse(str(v)) if present.any() else precision.FLOAT for v in values]
            return (*pairs, precision.FLOAT), np.where(present, positions, len(values))
        case Split():
            columns = [_values(part, n, read) for part in field.parts]
            combined = np.ravel_multi_index([at for _, at in columns], [len(values) for values, _ in columns])
            found, which = np.unique(combined, return_inverse=True)
            rows = np.array(np.unravel_index(found, [len(values) for values, _ in columns])).T.tolist()
            chosen = [[values[i] for (values, _), i in zip(columns, row, strict=True)] for row in rows]
            return tuple(_joined(field, row) for row in chosen), which.reshape(-1)


def words_of(field: str | Chosen, choices: Mapping[str, Sequence[Value]]) -> tuple[str, ...]:
    """Every word that a field may be. ``choices``: name -> values."""
    if isinstance(field, str):
        return (field,)
    return (*map(str, choices.get(field.name, ())), *([] if field.otherwise is None else [str(field.otherwise)]))


def chosen_word(field: str | Chosen, n: int, read: Read) -> tuple[tuple[str, ...], Ints]:
    """(the words that occur, the position (n,) of each architecture's among them); ``none`` where nothing is said."""
    absent = "none" if isinstance(field, str) or field.otherwise is None else field.otherwise
    words, at = _values(field, n, read, absent)
    return tuple(map(str, words)), at


def precisions_of(field: LayerPrecision, choices: Mapping[str, Sequence[Value]]) -> tuple[Precision, ...]:
    """Every precision that a layer may have. ``choices``: name -> values."""
    match field:
        case str():
            return (precision.parse(field),)
        case Chosen():
            return tuple(precision.parse(str(v)) for v in choices.get(field.name, ()))
        case Split():
            known = [choices.get(p.name, ()) if isinstance(p, Chosen) else [p] for p in field.parts]
            return tuple(_joined(field, row) for row in product(*known))


def _values(field: int | str | Chosen, n: int, read: Read, absent: Value = 0) -> tuple[Sequence[Value], Ints]:
    """(values of a field, the position (n,) of each architecture's); the last is that of an ``absent`` choice."""
    if not isinstance(field, Chosen):
        return (field,), np.zeros(n, np.int64)
    present, values, positions = read(field.name)
    return (*values, absent), np.where(present, positions, len(values))


def _joined(split: Split, row: Sequence[Any]) -> Precision:
    """The precision of these values of its parts."""
    weight, given, *words = row
    own = len(split.weight_words)
    return _precision(weight, given, tuple(words[:own]), tuple(words[own:]))


@cache
def _precision(weight: Any, given: Any, weight_words: tuple[Any, ...], input_words: tuple[Any, ...]) -> Precision:
    """Of no bits it is float."""
    if not weight:
        return precision.FLOAT
    return Precision(
        precision.spec_of_words("weight", weight, weight_words), precision.spec_of_words("input", given, input_words)
    )


def _bits(specs: Sequence[QuantSpec | None]) -> Ints:
    return np.array([0 if spec is None else spec.bits for spec in specs], np.int64)


def exists_in(when: When, n: int, read: Read) -> Bools:
    """Where (n,) all of these conditions hold."""
    kept: Bools = np.ones(n, np.bool_)
    for condition in when:
        present, values, positions = read(condition.name)
        true = np.array([any(same(v, wanted) for wanted in condition.values) for v in values])
        kept = kept & present & true[positions]
    return kept


def resolve(records: Sequence[Record], input_shape: Sequence[Field], n: int, read: Read) -> tuple[Columns, ...]:
    """Resolve all records over n architectures whose choices ``read`` gives: first shapes forward, then formats."""
    at = {record.path: i for i, record in enumerate(records)}
    nothing = np.zeros(n, np.int64)
    # What a reader of record i sees, its first input standing in where it is absent; row 0 is the network's input.
    source = np.full((len(at) + 1, n), -1, np.int64)
    shape = np.zeros((len(at) + 1, 3, n), np.int64)
    shape[0] = [whole(size, nothing, read) for size in input_shape]
    drafts: list[dict[str, Any]] = []
    for i, r in enumerate(records):
        rows = [0 if name == INPUT else at[name] + 1 for name in r.inputs]
        if r.kind == "select":
            chosen = whole(r.rows, nothing, read) * exists_in(r.exists_when, n, read)
            drafts.append(draft_of(r, np.zeros(n, np.bool_), source[rows].T, [tuple(shape[rows[0]])], n, read))
            shape[i + 1] = np.take_along_axis(shape[rows], chosen[None, None, :], axis=0)[0]
            source[i + 1] = np.take_along_axis(source[rows], chosen[None, :], axis=0)[0]
            continue
        exists = exists_in(r.exists_when, n, read)
        draft = draft_of(r, exists, source[rows].T, [tuple(shape[row]) for row in rows], n, read)
        drafts.append(draft)
        for size, own, before in zip(
            shape[i + 1], (draft["c_out"], draft["out_h"], draft["out_w"]), shape[rows[0]], strict=True
        ):
            size[:] = np.where(exists, own, before)
        source[i + 1] = np.where(exists, i, source[rows[0]])
    return _formats(drafts, n)


def draft_of(r: Record, exists: Bools, inputs: Ints, shapes: list[Any], n: int, read: Read) -> dict[str, Any]:
    """Fields of :class:`Columns`, but for the formats, of a record over n architectures.

    ``exists`` (n,) says where it is there; ``inputs`` (n, number of inputs) are rows of its inputs, -1 the network's,
    and ``shapes`` their (c, h, w), each (n,).
    """
    c_in, h, w = shapes[0] if r.call is None else [whole(size, shapes[0][0], read) for size in r.call.reads]
    sizes = Sizes(
        out=None if r.out is None else whole(r.out, c_in, read),
        kernel=whole(r.kernel, c_in, read),
        stride=whole(r.stride, c_in, read),
        dilation=r.dilation,
        padding=r.padding,
        rows=whole(r.rows, c_in, read),
    )
    if r.call is None:
        c_out, out_h, out_w = RULES[r.kind](shapes, sizes)
    else:
        c_out, out_h, out_w = (whole(size, c_in, read) for size in r.call.shape)
    precisions, which = chosen_precision(r.precision, n, read)
    bits = [_bits([getattr(p, role) for p in precisions])[which] for role in ("weight", "input")]
    macs = 0 * c_in if r.call is None else whole(r.call.macs, c_in, read)
    activations, after = chosen_word(r.activation, n, read)
    heads, shared = whole(r.heads, c_in, read), whole(r.kv_heads, c_in, read)
    return {
        "record": r, "exists": exists, "inputs": inputs, "c_in": c_in, "c_out": c_out, "kernel": sizes.kernel,
        "stride": sizes.stride, "groups": whole(r.groups, c_in, read), "heads": heads,
        "kv_heads": shared * (shared != heads), "rows": sizes.rows, "macs": macs,
        "activations": activations, "activation": after,
        "h": h, "w": w, "out_h": out_h, "out_w": out_w, "precisions": precisions, "precision": which,
        "integer": exists & np.array([p.integer for p in precisions])[which],
        "weight_bits": bits[0] * exists, "input_bits": bits[1] * exists,
    }  # fmt: skip


def _formats(drafts: list[dict[str, Any]], n: int) -> tuple[Columns, ...]:
    wanted = np.zeros((len(drafts) + 1, n), np.bool_)  # row -1, the last, is the network's input
    for d in drafts:
        quantized = d["integer"]
        for column in d["inputs"].T:
            if quantized.any():
                wanted[at_each(column)] |= quantized
    stored = wanted.copy()
    result = []
    for i, d in enumerate(drafts):
        integer = d.pop("integer")
        inputs8 = np.stack([stored[at_each(column)] for column in d["inputs"].T])
        if d["record"].kind in WEIGHTED:
            runs8 = integer
            if d["record"].kind == "conv":  # its kernel gives 8 bits
                stored[i] |= runs8 & np.array([word in FUSED for word in d["activations"]])[d["activation"]]
        elif d["record"].kind in RUNS8:
            runs8 = d["exists"] & inputs8.all(axis=0) & wanted[i]
        else:
            runs8 = np.zeros(n, np.bool_)
        result.append(Columns(**d, runs8=runs8, in8=inputs8[0], out8=stored[i] & d["exists"]))
    return tuple(result)


def at_each(rows: Ints) -> Any:
    """Index of one element per architecture, of row ``rows`` (n,); a plain row, several times faster, if all agree."""
    first = rows[0] if len(rows) else 0
    return first if (rows == first).all() else (rows, np.arange(len(rows)))
