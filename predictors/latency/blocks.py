"""Which floats of a network pass in blocks of channels, as float kernels of pictures prefer them.

Alone, a float convolution turns its input into blocks of channels and its output back. In a network it takes over what
the layer before left in blocks, leaves its own so, and takes a sum with another tensor along; only what a layer that
computes otherwise reads is turned back. Source: the NCHWc transformer of ONNX Runtime (``nchwc_transformer.cc``, MIT);
counted from each layer and its neighbours alone: a tensor that two turn back is counted twice.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

import numpy as np
from numpy.typing import NDArray

from spaces.layers import Columns
from spaces.resolve import at_each

Ints = NDArray[np.int64]

BLOCKED = frozenset({"conv", "add", "pool", "max_pool", "avg_pool"})  # kinds of layers that compute so in floats
READ, LEFT, ADDED = range(3)


def in_blocks(table: Sequence[Columns], only: Collection[int]) -> Ints:
    """(n, 3) float values of some records, for one example: that convolutions read in blocks; that they leave in
    blocks, less those turned back for others; that they add to their own."""
    n = len(table[0].exists)
    nowhere = np.zeros(n, np.bool_)  # the network's input
    blocked = np.stack([*[c.exists & ~c.runs8 & (c.record.kind in BLOCKED) for c in table], nowhere])
    convolved = np.stack([*[blocked[i] & (c.record.kind == "conv") for i, c in enumerate(table)], nowhere])
    values = np.stack([*[c.c_out * c.out_h * c.out_w for c in table], np.zeros(n, np.int64)])
    found = np.zeros((n, 3), np.int64)
    for i in only:
        c = table[i]
        makers = [at_each(producer) for producer in c.inputs.T]
        taken = [c.exists & blocked[at] for at in makers]
        if c.record.kind == "conv":
            found[:, READ] += np.where(blocked[i] & taken[0], values[makers[0]], 0)
            found[:, LEFT] += np.where(blocked[i], values[i], 0)
        keeps = blocked[i] & np.logical_and.reduce(taken)
        if c.record.kind == "add":
            convolves = np.logical_or.reduce([convolved[at] for at in makers])
            found[:, ADDED] += np.where(keeps & convolves, values[i], 0)
        for at, one in zip(makers, taken, strict=True):
            found[:, LEFT] -= np.where(one & ~keeps, values[at], 0)
    return found
