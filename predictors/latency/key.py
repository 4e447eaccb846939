"""What a measured row of a latency table is about.

Keys are computed from resolved layers and their neighbours, never from names of modules, so that equal work has an
equal key in every space.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from predictors.latency.standing import READS, standing
from spaces.cost import of_input
from spaces.outline import Columns


@dataclass(frozen=True, order=True)
class LayerKey:
    """One kernel, its shapes and formats. ``weight``: ``f32`` or ``w8c``; ``source``, ``target``: ``f32`` or ``u8``.

    ``rows`` are an embedding's; ``others`` the places of an attention's keys or of a gate; ``lies`` how the first input
    does: as a ``picture`` or as ``tokens``.
    """

    op: str
    kernel: int
    stride: int
    c_in: int
    c_out: int
    h: int
    w: int
    batch: int
    weight: str
    source: str
    target: str
    activation: str
    groups: int = 1
    heads: int = 1
    rows: int = 0
    others: int = 0
    lies: str = "picture"

    def __str__(self) -> str:
        """Like ``conv k3 s1 g1 64x64@28x28 b1 w8c/u8>u8 relu``; what few layers have stands behind it."""
        shape = f"{self.c_in}x{self.c_out}@{self.h}x{self.w} b{self.batch}"
        form = f"{self.weight}/{self.source}>{self.target}"
        besides = f" h{self.heads}" if self.heads != 1 else ""
        besides += f" r{self.rows}" if self.rows else ""
        besides += f" o{self.others}" if self.others else ""
        besides += f" {self.lies}" if self.lies != "picture" else ""
        return f"{self.op} k{self.kernel} s{self.stride} g{self.groups} {shape} {form} {self.activation}{besides}"


@dataclass(frozen=True, order=True)
class BoundaryKey:
    """A tensor (c, h, w) that changes its form.

    ``op``: ``quantize`` (f32 to u8) and ``dequantize`` (u8 to f32), which turn pictures to channels last and back; the
    same of ``tokens``, which they do not turn; ``layout``: pictures to tokens, or tokens to pictures, f32 or ``u8``.
    """

    op: str
    c: int
    h: int
    w: int

    def __str__(self) -> str:
        """Like ``quantize 16@8x8``."""
        return f"{self.op} {self.c}@{self.h}x{self.w}"


Key = LayerKey | BoundaryKey
_TWO_SIZES = frozenset({"attention", "multiply"})  # kinds whose second input may have other places than the first
Rows = NDArray[np.intp]


@dataclass(frozen=True)
class Work:
    """What a batch of n networks has to do.

    ``kernels`` and ``boundaries``: each distinct key with the rows (networks) where it occurs, a row as often as it
    does. Per network: ``layers`` (n,) how many layers, ``links`` (n,) how many float values of pictures pass from
    float layer to float layer, in their kernels' own layout.
    """

    kernels: list[tuple[LayerKey, Rows]]
    boundaries: list[tuple[BoundaryKey, Rows]]
    layers: NDArray[np.int64]
    links: NDArray[np.int64]


def work(table: Sequence[Columns], weight_names: Mapping[int, str], batch: int) -> Work:
    """The work of the networks of a resolved outline.

    ``weight_names``: bits of a weight -> name of the weight format whose kernel runs it (0: float).
    """
    n = len(table[0].exists)
    every = np.arange(n)
    made8 = np.stack([*[c.runs8 for c in table], np.zeros(n, np.bool_)])  # the last row is the network's input
    stored8 = np.stack([*[c.out8 for c in table], np.zeros(n, np.bool_)])
    for c in table:
        from_input = c.exists & (c.inputs[:, 0] < 0)
        stored8[-1] |= from_input & c.in8
    kernels: list[tuple[LayerKey, Rows]] = []
    boundaries: list[tuple[BoundaryKey, Rows]] = []
    links = np.zeros(n, np.int64)
    written = np.zeros_like(made8)
    stands = standing([c.record for c in table])
    tokens = np.array([*[stands[c.record.path] == "tokens" for c in table], False])
    for c in table:
        kernels += _kernels(c, table, weight_names, batch, stands[c.record.inputs[0]])
        for producer in c.inputs.T:
            stored, made = stored8[producer, every] & c.exists, made8[producer, every]
            quantize = stored & ~made & ~written[producer, every]
            written[producer[quantize], every[quantize]] = True
            flat = tokens[producer] & (c.h * c.w > 1)
            for op, where in (("quantize", quantize), ("dequantize", stored & ~c.runs8)):
                boundaries += _boundaries(op, c, where & ~flat)
                boundaries += _boundaries(f"{op} tokens", c, where & flat)
            if reads := READS.get(c.record.kind):
                turned = c.exists & (tokens[producer] != (reads == "tokens")) & (c.h * c.w > 1)
                boundaries += _boundaries("layout", c, turned & ~stored)
                boundaries += _boundaries("layout u8", c, turned & stored)
            links += np.where(c.exists & ~stored & ~c.runs8 & (producer >= 0) & ~flat, c.c_in * c.h * c.w, 0)
    return Work(kernels, boundaries, np.sum([c.exists for c in table], axis=0), links)


def _kernels(
    c: Columns, table: Sequence[Columns], weight_names: Mapping[int, str], batch: int, lies: str
) -> Iterator[tuple[LayerKey, Rows]]:
    kind = c.record.kind
    others = of_input(c, table, 1)[1] if kind in _TWO_SIZES else np.zeros_like(c.h)
    entries = c.rows if kind == "embedding" else np.zeros_like(c.h)
    fields = np.stack([
        c.kernel, c.stride, c.c_in, c.c_out, c.h, c.w, c.weight_bits, c.runs8, c.runs8 & c.out8, c.groups, c.heads,
        entries, others,
    ], axis=1)  # fmt: skip
    for (kernel, stride, c_in, c_out, h, w, bits, source8, target8, groups, heads, entered, places), rows in _distinct(
        fields, c.exists
    ):
        yield LayerKey(
            kind, kernel, stride, c_in, c_out, h, w, batch,
            weight_names[bits], _form(source8), _form(target8), c.record.activation, groups, heads, entered, places,
            lies if h * w > 1 else "picture",
        ), rows  # fmt: skip


def _boundaries(op: str, c: Columns, where: NDArray[np.bool_]) -> Iterator[tuple[BoundaryKey, Rows]]:
    for (channels, h, w), rows in _distinct(np.stack([c.c_in, c.h, c.w], axis=1), where):
        yield BoundaryKey(op, channels, h, w), rows


def _distinct(fields: NDArray[np.int64], where: NDArray[np.bool_]) -> Iterator[tuple[list[int], Rows]]:
    rows = np.flatnonzero(where)
    if len(rows):
        values, group = np.unique(fields[rows], axis=0, return_inverse=True)
        for i, value in enumerate(values.tolist()):
            yield value, rows[group.reshape(-1) == i]


def _form(stored8: int) -> str:
    return "u8" if stored8 else "f32"
