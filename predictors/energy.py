"""Energy of one inference, from a table of energies per operation and per bit moved: a model, not a measurement.

Every multiply-accumulate costs a product and a sum in the formats that the layer runs in; every layer moves its
weights, inputs and output once between memory and chip, in the formats they are stored in.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from spaces import Batch
from spaces.cost import attention_macs, of_input
from spaces.layers import WEIGHTED, Ints

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class EnergyTable:
    """Picojoules. ``product_per_bit2``: of an integer product, per bit of one factor times bit of the other."""

    product_float32: float
    sum_float32: float
    product_per_bit2: float
    sum_int32: float
    memory_per_bit: float


HOROWITZ = EnergyTable(
    product_float32=3.7, sum_float32=0.9, product_per_bit2=0.2 / 64, sum_int32=0.1, memory_per_bit=640 / 32
)
"""45 nm, 0.9 V (Horowitz 2014, "Computing's energy problem", figure 1.1.9): an int8 product takes 0.2 pJ, 32 bits from
DRAM 640. Deviation: products of other widths are taken as proportional to both, as in an array multiplier."""


def energy_pj(batch: Batch, table: EnergyTable = HOROWITZ) -> Floats:
    """Picojoules (n,) of one image or sequence through each architecture."""
    columns = batch.space.outline.table(batch)
    total = np.zeros(len(batch))
    for c in columns:
        others = [np.prod(of_input(c, columns, i), axis=0) for i in range(1, c.inputs.shape[1])]
        moved = _bits(c.out8) * c.c_out * c.out_h * c.out_w + _bits(c.in8) * sum(others, c.c_in * c.h * c.w)
        if c.record.kind in WEIGHTED:
            weights = c.c_in // np.maximum(c.groups, 1) * c.c_out * (c.kernel**2 if c.record.kind == "conv" else 1)
            moved = moved + weights * np.where(c.weight_bits > 0, c.weight_bits, 32) + 32 * c.c_out
            quantized = (c.weight_bits > 0) & (c.input_bits > 0)
            integer = c.weight_bits * c.input_bits * table.product_per_bit2 + table.sum_int32
            each = np.where(quantized, integer, table.product_float32 + table.sum_float32)
            total += np.where(c.exists, weights * c.out_h * c.out_w * each, 0.0)
        elif c.record.kind == "attention":
            macs = attention_macs(c, columns)
            total += np.where(c.exists, macs * (table.product_float32 + table.sum_float32), 0.0)
        total += np.where(c.exists, moved * table.memory_per_bit, 0.0)
    return total


def _bits(is8: NDArray[np.bool_]) -> Ints:
    bits: Ints = np.where(is8, 8, 32)
    return bits
