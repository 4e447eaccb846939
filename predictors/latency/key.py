"""What a measured row of a latency table is about.

Keys are computed from resolved layers and their neighbours, never from names of modules, so that equal work has an
equal key in every space.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from predictors.latency.weights import INTEGERS, stored_bytes
from spaces.call import Given
from spaces.layers import WEIGHTED

Tensors = tuple[tuple[str, tuple[int, ...]], ...]
"""Form and sizes of each."""


@dataclass(frozen=True, order=True)
class LayerKey:
    """One kernel, its shapes and formats. ``weight``: ``f32``, ``w8c`` or what
    :class:`predictors.latency.weights.WeightFormats` has besides; ``source``, ``target``: ``f32`` or ``u8``.

    ``kv_heads`` are those of an attention's keys and values, 0 for as many as ``heads``; ``rows`` an embedding's;
    ``others`` the places of an attention's keys or of a gate, or of a sum or concatenation how many inputs it has, if
    not two; ``lies`` how the first input does: as a ``picture`` or as ``tokens``.
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
    kv_heads: int = 0

    @property
    def weight_bytes(self) -> int:
        """Of its weight, without scales; 0 of what has none."""
        if self.op not in WEIGHTED:
            return 0
        terms = self.c_in // self.groups * (self.kernel**2 if self.op == "conv" else 1)
        return stored_bytes(self.weight, terms * self.c_out)

    def __str__(self) -> str:
        """Like ``conv k3 s1 g1 64x64@28x28 b1 w8c/u8>u8 relu``; what few layers have stands behind it."""
        shape = f"{self.c_in}x{self.c_out}@{self.h}x{self.w} b{self.batch}"
        form = f"{self.weight}/{self.source}>{self.target}"
        besides = f" h{self.heads}" if self.heads != 1 else ""
        besides += f" kv{self.kv_heads}" if self.kv_heads else ""
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


@dataclass(frozen=True, order=True)
class CallKey:
    """One operation of a traced network.

    ``op``: its kind of layer; ``call`` the operation with its ``args`` and ``options``. ``inputs``: form and sizes of
    each tensor that it computes with: ``u8``, a type of torch's, or that with ``held`` before it, for what no input
    changes. ``held``: sizes of its own weight, ``weight`` the format of that; ``target``: form of what it gives.
    """

    op: str
    call: str
    args: tuple[Any, ...]
    options: tuple[tuple[str, Any], ...]
    inputs: Tensors
    held: tuple[int, ...]
    weight: str
    target: str
    activation: str

    @property
    def source(self) -> str:
        """Whether its kernel computes with integers."""
        return "u8" if self.weight in INTEGERS else "f32"

    @property
    def weight_bytes(self) -> int:
        """Of its weight, without scales; 0 of what has none."""
        return stored_bytes(self.weight, math.prod(self.held)) if self.op in WEIGHTED else 0

    def __str__(self) -> str:
        """Like ``aten.conv2d.default([2, 2], [1, 1], [1, 1], 1) w8c[64x32x3x3] u8[1x32x9x9] > u8 relu``."""
        said = ", ".join([*map(_shown, self.args), *(f"{name}={_shown(value)}" for name, value in self.options)])
        tensors = [*([(self.weight, self.held)] if self.held else []), *self.inputs]
        shown = " ".join(f"{form}[{'x'.join(map(str, sizes))}]" for form, sizes in tensors)
        after = "" if self.activation == "none" else f" {self.activation}"
        return f"{self.call}({said}) {shown} > {self.target}{after}"


def _shown(value: Any) -> str:
    if isinstance(value, Given):
        return f"@{value.index}"
    return f"[{', '.join(map(_shown, value))}]" if isinstance(value, tuple) else str(value)


Key = LayerKey | BoundaryKey | CallKey
