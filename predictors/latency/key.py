"""What a measured row of a latency table is about.

Keys are computed from resolved layers and their neighbours, never from names of modules, so that equal work has an
equal key in every space.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, order=True)
class LayerKey:
    """One kernel, its shapes and formats. ``weight``: ``f32`` or ``w8c``; ``source``, ``target``: ``f32`` or ``u8``.

    ``rows`` are an embedding's; ``others`` the places of an attention's keys or of a gate, or of a sum or concatenation
    how many inputs it has, if not two; ``lies`` how the first input does: as a ``picture`` or as ``tokens``.
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
