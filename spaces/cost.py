"""Counted costs of architectures, from the resolved outline alone.

Conventions: a network as shipped (batch norm folded into weights and bias), MACs of one image or sequence, those of an
attention between its tokens included; normalisation, pooling and activations multiply nothing that is counted.

- ``bit_operations``: MACs x weight bits x input bits with float as 32 (EQ-Net, HAWQ up to a factor).
- ``bit_operations_with_sums``: the additions of the accumulator too, as UNIQ counts them (Baskin et al. 2018, section
  4.2): MACs x (weight bits x input bits + weight bits + input bits + log2 of the terms per sum).
- ``size_bytes``: the payload: packed weight codes with their scales, zero-points and codebooks
  (:mod:`spaces.precision.size`), 4 bytes per bias and any other parameter. A linear layer that shares an embedding's
  weight adds no parameters, and no bytes in float; quantized it needs codes of its own.
- ``shipped_bytes``: the same as a file holds it, where codes take 4 or 8 bits and scales are floats.
- ``peak_activation_bytes``: the most that is alive at once, each tensor from when it is written until it is last read,
  in the format it is stored in.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from spaces.layers import WEIGHTED, Columns, Ints
from spaces.precision import packed, shipped
from spaces.resolve import at_each

NAMES = (
    "parameters", "macs", "bit_operations", "bit_operations_with_sums", "size_bytes", "shipped_bytes",
    "peak_activation_bytes",
)  # fmt: skip
_FLOAT_BITS = 32


def cost(table: Sequence[Columns], input_elements: Ints) -> dict[str, NDArray[np.int64]]:
    """(n,) each, by :data:`NAMES`. ``input_elements`` (n,): values of the network's input."""
    n = len(input_elements)
    total: dict[str, Ints] = {name: np.zeros(n, np.int64) for name in NAMES}
    for c in table:
        if c.record.kind in WEIGHTED:
            _weighted(c, total)
        elif c.record.call is not None:
            _called(c, total)
        elif c.record.kind == "attention":
            _attention(c, table, total)
        elif parameters := _PARAMETERS.get(c.record.kind):
            count: Ints = parameters(c) * c.exists
            total["parameters"] += count
            total["size_bytes"] += 4 * count
            total["shipped_bytes"] += 4 * count
    total["peak_activation_bytes"] = _peak(table, input_elements)
    return total


def _weighted(c: Columns, total: dict[str, Ints]) -> None:
    terms = c.c_in // np.maximum(c.groups, 1)  # summed per output value
    if c.record.kind == "conv":
        terms = terms * (c.kernel**2 if c.record.call is None else c.record.call.taps)
    weights = terms * c.c_out * c.exists
    biases = c.c_out * c.exists if c.record.bias or c.record.norm else np.zeros_like(weights)
    macs = weights * c.out_h * c.out_w
    weight_bits = np.where(c.weight_bits > 0, c.weight_bits, _FLOAT_BITS)
    input_bits = np.where(c.input_bits > 0, c.input_bits, _FLOAT_BITS)
    shared = c.record.weight_of is not None
    if c.record.call is not None and c.record.call.again:
        biases = biases * (c.weight_bits > 0)  # all of it is counted where it first runs, but for codes of its own
    total["parameters"] += biases if shared else weights + biases
    total["macs"] += macs
    total["bit_operations"] += macs * weight_bits * input_bits
    sums: Ints = np.ceil(np.log2(np.maximum(terms, 1))).astype(np.int64)
    each: Ints = weight_bits * input_bits + weight_bits + input_bits + sums
    total["bit_operations_with_sums"] += macs * each
    for name, size in (("size_bytes", packed), ("shipped_bytes", shipped)):
        total[name] += 4 * biases
        for i, spec in enumerate(p.weight for p in c.precisions):
            own = spec is not None or not shared
            total[name] += np.where(c.exists & (c.precision == i) & own, -(-size(spec, (c.c_out, terms)).total // 8), 0)


def attention_macs(c: Columns, table: Sequence[Columns]) -> Ints:
    """(n,) of an attention: queries times keys, and the mixed values, both between all pairs of tokens."""
    keys = of_input(c, table, 1)[1]
    return c.h * c.w * keys * (c.c_in + c.c_out) * c.exists


def _called(c: Columns, total: dict[str, Ints]) -> None:
    """Of a traced call: its products, or what it holds."""
    _float_macs(c.macs * c.exists, total)
    call = c.record.call
    if call is not None and c.record.kind in ("parameter", "batch_norm"):
        held = c.c_in * c.exists * (2 if c.record.kind == "batch_norm" else 1)
        total["parameters"] += 0 if call.buffer else held
        total["size_bytes"] += 4 * held
        total["shipped_bytes"] += 4 * held


def _attention(c: Columns, table: Sequence[Columns], total: dict[str, Ints]) -> None:
    _float_macs(attention_macs(c, table), total)


def _float_macs(macs: Ints, total: dict[str, Ints]) -> None:
    """Products of floats."""
    total["macs"] += macs
    total["bit_operations"] += macs * _FLOAT_BITS**2
    total["bit_operations_with_sums"] += macs * (_FLOAT_BITS**2 + 2 * _FLOAT_BITS)


def of_input(c: Columns, table: Sequence[Columns], number: int) -> tuple[Ints, Ints]:
    """(channels, places) of an input that is a layer's output; of the network's own input those of the first one."""
    column = c.inputs[:, number]
    channels, places = c.c_in.copy(), c.h * c.w
    for i in np.unique(column[column >= 0]):
        here = column == i
        channels = np.where(here, table[i].c_out, channels)
        places = np.where(here, table[i].out_h * table[i].out_w, places)
    return channels, places


_PARAMETERS: dict[str, Callable[[Columns], Ints]] = {
    "norm": lambda c: 2 * c.c_in,
    "rms_norm": lambda c: c.c_in,
    "embedding": lambda c: c.rows * c.c_out,
    "position": lambda c: c.c_in * c.h * c.w,
    "class_token": lambda c: c.c_in,
}


def _peak(table: Sequence[Columns], input_elements: Ints) -> NDArray[np.int64]:
    n = len(input_elements)
    last_read = np.full((len(table) + 1, n), -1, np.int64)  # row -1, the last, is the network's input
    input8 = np.zeros(n, np.bool_)
    for i, c in enumerate(table):
        for column in c.inputs.T:
            at = at_each(column)
            last_read[at] = np.where(c.exists, i, last_read[at])
        input8 |= c.exists & c.in8 & (c.inputs[:, 0] < 0)
    freed = np.zeros((len(table) + 1, n), np.int64)  # bytes that nobody needs after a step
    alive = input_elements * np.where(input8, 1, 4)
    freed[at_each(last_read[-1])] += alive
    most = np.zeros(n, np.int64)
    for i, c in enumerate(table):
        written = c.c_out * c.out_h * c.out_w * np.where(c.out8, 1, 4) * c.exists
        alive = alive + written
        most = np.maximum(most, alive, out=most, where=c.exists)
        freed[at_each(np.where(last_read[i] < 0, i, last_read[i]))] += written
        alive = alive - freed[i]
    return most
