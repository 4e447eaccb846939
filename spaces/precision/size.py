"""The true size of a tensor under a spec, in bits: codes, scales, zero-points, masks and codebooks.

*Packed* is the tightest storage that is simple to unpack; *shipped* is what an ONNX file holds, where codes take 4 or 8
bits, scales are floats and sparse weights are stored with their zeros. A learned table of start values, a noise or a
rounding adds nothing: it is gone after training.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any

from spaces.precision.methods import SCALES
from spaces.precision.refused import Refused
from spaces.precision.spec import QuantSpec

_FLOAT = 32
_NIBBLE, _BYTE = 4, 8

_LEARNED = frozenset({"codebook"})
_UNKNOWN = frozenset({"codebook", "power_of_two", "midrise"})  # formats that no file has: their levels go with them

PATTERNS: dict[str, tuple[int, int, int]] = {"2:4": (4, 2, 2 * 2), "4:8": (8, 4, 2 * 2)}
"""Sparsity -> (values per block, kept ones, bits of a block's mask): 2:4 names each kept one of four by 2 bits; 4:8 of
pairs keeps two pairs of four (Yu et al. 2023, GPUSQ-ViT, section 3)."""


@dataclass(frozen=True)
class Size:
    """Bits of the parts of a tensor: whole numbers, or arrays (n,) for many tensors."""

    codes: Any
    scales: Any = 0
    zero_points: Any = 0
    masks: Any = 0
    codebooks: Any = 0

    @property
    def total(self) -> Any:
        """Bits of all parts."""
        return sum(getattr(self, field.name) for field in fields(self))


def packed(spec: QuantSpec | None, shape: Sequence[Any], role: str = "weight", sparsity: str | None = None) -> Size:
    """Size of a tensor of this shape (sizes may be arrays (n,)), packed; ``None`` is float.

    Raises :class:`Refused` for a sparsity without a pattern, or a number of values that its blocks do not divide.
    """
    count = math.prod(shape)
    if spec is None:
        return Size(_FLOAT * count)
    masks = 0
    if sparsity is not None:
        if sparsity not in PATTERNS or count % PATTERNS[sparsity][0]:
            raise Refused(f"{count} values have no sparsity {sparsity}", "wrong-sparsity", "known: 2:4, 4:8")
        block, kept, mask = PATTERNS[sparsity]
        count, masks = count // block * kept, count // block * mask
    rule, scales = SCALES[spec.method[0]], scale_count(spec, shape, role)
    each = spec.format.per_byte
    codes = count * spec.bits if each is None else -(-count // each) * _BYTE
    zero_points = 0 if spec.offset == "none" else scales * spec.bits
    return Size(codes, scales * rule.bits + rule.tensor_bits, zero_points, masks, _codebook(spec, _LEARNED))


def shipped(spec: QuantSpec | None, shape: Sequence[Any], role: str = "weight") -> Size:
    """Size of a tensor of this shape in an ONNX file; a sparse one takes as much as a dense one."""
    if spec is None:
        return packed(None, shape)
    scales = scale_count(spec, shape, role)
    container = _NIBBLE if spec.bits <= _NIBBLE else _BYTE
    zero_points = 0 if spec.offset == "none" else scales * container
    return Size(math.prod(shape) * container, scales * _FLOAT, zero_points, 0, _codebook(spec, _UNKNOWN))


def _codebook(spec: QuantSpec, kinds: frozenset[str]) -> int:
    return (1 << spec.bits) * _FLOAT if spec.format.kind in kinds else 0


def scale_count(spec: QuantSpec, shape: Sequence[Any], role: str) -> Any:
    """Scales of a tensor: a weight (c_out, c_in, ...), an input (b, c, h, w) or (b, t, d), heads (b, heads, t, d)."""
    count, heads = math.prod(shape), role in ("attention", "kv")
    features = shape[-1] if heads or len(shape) == 3 else shape[1]
    if spec.granularity == "channel":
        return shape[1] * shape[-1] if heads else shape[0]
    return {"tensor": 1, "group": count // max(spec.group, 1), "token": count // features}.get(
        spec.granularity, shape[1] if len(shape) > 1 else 1
    )
