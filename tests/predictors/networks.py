"""Small spaces and hand-made networks that the tests of this room share."""

from __future__ import annotations

from collections.abc import Sequence

from predictors.latency.key import BoundaryKey, LayerKey
from spaces import INPUT, Architecture, Layer, Outline, Record, Space

CHAIN = """\
name: chain
model:
  family: convnet
  stages:
    - {depth: {choice: [1, 2]}, width: {choice: [4, 8]}, kernel: {choice: [1, 3], per: block}, stride: 1}
    - {depth: {choice: [1, 2]}, width: {choice: [4, 8]}, kernel: 3, stride: 2}
precision: {choice: [float, w8a8, w4a8], per: layer}
"""
RESIDUAL = """\
name: residual
model:
  family: convnet
  stages:
    - {depth: {choice: [1, 2, 3]}, width: {choice: [8, 16]}, kernel: {choice: [3, 5], per: block}, residual: true}
    - {depth: {choice: [1, 2, 3]}, width: {choice: [8, 16]}, kernel: 3, stride: 2, residual: true}
precision: {choice: [float, w8a8, w4a8], per: layer}
"""
VIT = """\
name: vit
model:
  family: vit
  input: [3, 16, 16]
  classes: 10
  patch: 4
  embed: {{choice: [32, 64]}}
  depth: {{choice: [1, 2]}}
  heads: {{choice: [1, 2], per: block}}
  head_dim: 32
  mlp_ratio: {{choice: [1, 2], per: block}}
precision: {{choice: [float, {}], per: layer, except: {{patches: float}}}}
"""
"""With precisions to fill in."""
WIDE = """\
name: wide
model:
  family: convnet
  input: [3, 32, 32]
  classes: 10
  stages:
    - {depth: {choice: [1, 2, 3, 4]}, width: {range: [8, 64, 8]}, kernel: {choice: [3, 5], per: block}, residual: true}
    - {depth: {choice: [1, 2, 3, 4]}, width: {range: [16, 128, 8]}, kernel: {choice: [3, 5, 7], per: block}, stride: 2}
    - {depth: {range: [1, 6]}, width: {range: [32, 256, 16]}, kernel: {choice: [3, 5], per: block}, residual: true}
precision: {choice: [float, w8a8, w4a8], per: layer}
"""


def network(*records: Record, shape: tuple[int, int, int] = (1, 8, 8)) -> Space:
    """The space of one network: nothing in it may be chosen."""
    return Space("hand", (), Outline(shape, 10, records))


NO_CHOICE = Architecture({})


def conv(
    path: str, source: str, out: int, precision: str, kernel: int = 3, stride: int = 1, activation: str = "relu"
) -> Record:
    """A convolution of constant shape."""
    return Record(path, "conv", (source,), out, kernel, stride, norm=True, activation=activation, precision=precision)


def head(source: str, precision: str) -> tuple[Record, Record]:
    """Global pool and classifier."""
    return Record("pool", "pool", (source,)), Record("classifier", "linear", ("pool",), 10, precision=precision)


def expected_work(layers: Sequence[Layer], batch: int = 1) -> tuple[list[LayerKey], list[BoundaryKey], int]:
    """(kernels, conversions, float links) of one network, from its resolved layers one after the other."""
    stored = {layer.path for layer in layers if layer.out8} | {INPUT for y in layers if INPUT in y.inputs and y.in8}
    integer = {layer.path for layer in layers if layer.runs8}
    quantized: set[str] = set()
    kernels, boundaries, links = [], [], 0
    for y in layers:
        form = "w8c" if y.precision.quantized else "f32"
        kernels.append(
            LayerKey(
                y.kind,
                y.kernel,
                y.stride,
                y.c_in,
                y.c_out,
                y.h,
                y.w,
                batch,
                form,
                "u8" if y.runs8 else "f32",
                "u8" if y.runs8 and y.out8 else "f32",
                y.activation,
            )
        )
        for source in y.inputs:
            if source in stored:
                if source not in integer | quantized:
                    quantized.add(source)
                    boundaries.append(BoundaryKey("quantize", y.c_in, y.h, y.w))
                if not y.runs8:
                    boundaries.append(BoundaryKey("dequantize", y.c_in, y.h, y.w))
            elif not y.runs8 and source != INPUT:
                links += y.c_in * y.h * y.w
    return kernels, boundaries, links


def expected_blocks(layers: Sequence[Layer]) -> tuple[int, int, int]:
    """Values (read, left, added) in blocks of one network."""
    kinds = ("conv", "add", "pool", "max_pool", "avg_pool")
    blocked = {y.path: y for y in layers if y.kind in kinds and not y.runs8}
    read = left = added = 0
    for y in layers:
        makers = [blocked[source] for source in y.inputs if source in blocked]
        together = y.path in blocked and len(makers) == len(y.inputs)
        if y.path in blocked and y.kind == "conv":
            read += sum(values(maker) for maker in makers)
            left += values(y)
        if not together:
            left -= sum(values(maker) for maker in makers)
        elif y.kind == "add" and "conv" in {maker.kind for maker in makers}:
            added += values(y)
    return read, left, added


def values(y: Layer) -> int:
    """That it gives."""
    return y.c_out * y.out_h * y.out_w
