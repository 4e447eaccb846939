"""Counted costs of architectures, from the resolved outline alone.

Conventions: a network as shipped (batch norm folded into weights and bias), MACs of one image, ``bit_operations`` =
MACs x weight bits x input bits with float as 32. ``size_bytes`` is the payload: packed weight codes, a float scale per
output channel of a quantized layer, 4 bytes per bias.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from spaces.outline import WEIGHTED, Columns

_FLOAT_BITS = 32


def cost(table: Sequence[Columns]) -> dict[str, NDArray[np.int64]]:
    """(n,) each: parameters, macs, bit_operations, size_bytes, peak_activation_bytes.

    The peak is the largest sum of a layer's input and output tensors, in the formats they are stored in.
    """
    n = len(table[0].exists) if table else 0
    names = ("parameters", "macs", "bit_operations", "size_bytes", "peak_activation_bytes")
    total = {name: np.zeros(n, np.int64) for name in names}
    of_input = np.any([c.exists & c.in8 & (c.inputs[:, 0] < 0) for c in table], axis=0)
    stored8 = np.stack([*[c.out8 for c in table], of_input])  # the last row, -1, is the network's input
    for c in table:
        one = c.record.kind == "pool"
        out_h = np.ones_like(c.h) if one else -(-c.h // c.record.stride)
        out_w = np.ones_like(c.w) if one else -(-c.w // c.record.stride)
        if c.record.kind in WEIGHTED:
            weights = c.c_in * c.c_out * c.kernel**2 * c.exists
            biases = c.c_out * c.exists
            macs = weights * out_h * out_w
            quantized = c.weight_bits > 0
            weight_bits = np.where(quantized, c.weight_bits, _FLOAT_BITS)
            total["parameters"] += weights + biases
            total["macs"] += macs
            total["bit_operations"] += macs * weight_bits * np.where(quantized, c.input_bits, _FLOAT_BITS)
            total["size_bytes"] += -(-weights * weight_bits // 8) + biases * np.where(quantized, 8, 4)
        inputs = c.c_in * c.h * c.w * np.where(stored8[c.inputs.T, np.arange(n)], 1, 4).sum(axis=0)
        outputs = c.c_out * out_h * out_w * np.where(c.out8, 1, 4)
        peak = np.where(c.exists, inputs + outputs, 0)
        total["peak_activation_bytes"] = np.maximum(total["peak_activation_bytes"], peak)
    return total
