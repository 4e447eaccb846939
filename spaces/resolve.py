"""From records to shapes, formats and neighbours: resolved here once, over many architectures at a time.

Tensor formats follow one rule. A tensor is stored in 8 bits if a consumer with weights wants its input in 8 bits, or if
its producer is an integer kernel (which can only write integers); everyone reads the stored value. A layer without
weights (add, pool) runs in 8 bits if all its inputs are stored so and a consumer wants its output so.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from spaces import precision
from spaces.choice import Value, When, same
from spaces.layers import INPUT, WEIGHTED, Bools, Chosen, Columns, Ints, Record

Read = Callable[[str], tuple[Bools, list[Value], Ints]]
"""Choice name -> (present (n,), its values (k,), position of the value (n,), any number where absent)."""


def _field(field: int | Chosen, n: int, read: Read) -> Ints:
    if isinstance(field, int):
        return np.full(n, field, np.int64)
    present, values, positions = read(field.name)
    return np.where(present, np.array([int(v) for v in values], np.int64)[positions], 0)


def _bits(field: str | Chosen, n: int, read: Read) -> tuple[Ints, Ints]:
    if isinstance(field, str):
        present, values, positions = np.ones(n, np.bool_), [field], np.zeros(n, np.int64)
    else:
        present, values, positions = read(field.name)  # type: ignore[assignment]
    pairs = [precision.parse(str(v)) if present.any() else precision.FLOAT for v in values]
    weight = np.array([p.weight.bits if p.weight else 0 for p in pairs], np.int64)[positions]
    inputs = np.array([p.input.bits if p.input else 0 for p in pairs], np.int64)[positions]
    return np.where(present, weight, 0), np.where(present, inputs, 0)


def _exists(when: When, n: int, read: Read) -> Bools:
    kept: Bools = np.ones(n, np.bool_)
    for condition in when:
        present, values, positions = read(condition.name)
        true = np.array([any(same(v, wanted) for wanted in condition.values) for v in values])
        kept = kept & present & true[positions]
    return kept


def resolve(records: Sequence[Record], input_shape: tuple[int, int, int], n: int, read: Read) -> tuple[Columns, ...]:
    """Resolve all records over n architectures whose choices ``read`` gives: first shapes forward, then formats."""
    at = {record.path: i for i, record in enumerate(records)}
    c, h, w = input_shape
    # What a reader of record i sees, its first input standing in where it is absent; row 0 is the network's input.
    source = np.full((len(at) + 1, n), -1, np.int64)
    shape = np.zeros((len(at) + 1, 3, n), np.int64)
    shape[0] = np.array([c, h, w])[:, None]
    drafts: list[dict[str, Any]] = []
    for i, r in enumerate(records):
        exists = _exists(r.exists_when, n, read)
        rows = [0 if name == INPUT else at[name] + 1 for name in r.inputs]
        c_in, h_in, w_in = shape[rows[0]]
        c_out = c_in if r.out is None else _field(r.out, n, read)
        weight_bits, input_bits = _bits(r.precision, n, read)
        drafts.append({
            "record": r, "exists": exists, "inputs": source[rows].T, "c_in": c_in, "c_out": c_out,
            "kernel": _field(r.kernel, n, read), "h": h_in, "w": w_in,
            "weight_bits": weight_bits * exists, "input_bits": input_bits * exists,
        })  # fmt: skip
        whole = r.kind == "pool"
        out = [
            c_out,
            np.ones_like(h_in) if whole else -(-h_in // r.stride),
            np.ones_like(w_in) if whole else -(-w_in // r.stride),
        ]
        shape[i + 1] = np.where(exists, np.stack(out), shape[rows[0]])
        source[i + 1] = np.where(exists, i, source[rows[0]])
    return _formats(drafts, n)


def _formats(drafts: list[dict[str, Any]], n: int) -> tuple[Columns, ...]:
    every = np.arange(n)
    wanted = np.zeros((len(drafts) + 1, n), np.bool_)  # row -1, the last, is the network's input
    read_by_any = np.zeros_like(wanted)
    for d in drafts:
        for column in d["inputs"].T:
            rows = every[d["exists"]]
            read_by_any[column[rows], rows] = True
            quantized = rows[d["weight_bits"][rows] > 0]
            wanted[column[quantized], quantized] = True
    stored = wanted.copy()
    result = []
    for i, d in enumerate(drafts):
        inputs8 = np.stack([stored[column, every] for column in d["inputs"].T])
        if d["record"].kind in WEIGHTED:
            runs8 = d["weight_bits"] > 0
            stored[i] |= runs8 & read_by_any[i]
        else:
            runs8 = d["exists"] & inputs8.all(axis=0) & wanted[i]
        result.append(Columns(**d, runs8=runs8, in8=inputs8[0], out8=stored[i] & d["exists"]))
    return tuple(result)
