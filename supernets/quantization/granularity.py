"""Which values of a tensor share a scale: the tensor as a matrix with a row per scale, and scales in its shape.

Weights are (c_out, c_in, ...); inputs (b, c), tokens (b, t, c) or pictures (b, c, h, w); attention (b, heads, t, t);
kv (b, heads, t, d). A group is of consecutive features: input channels of a weight, at each place of its kernel.
"""

from __future__ import annotations

from torch import Tensor

from spaces import QuantSpec
from supernets.quantization.kernels import flat

Kept = tuple[int, ...]
"""Axes along which scales differ; values along the others share them."""


def features_last(x: Tensor, kind: str) -> Tensor:
    """What a layer of this kind reads, of any number of axes: linear layers have their features last, and no picture's
    (b, c, h, w) is told from their (b, h, w, c) by itself."""
    return x.flatten(0, -2) if kind == "linear" and x.dim() > 3 else x


def rows(x: Tensor, spec: QuantSpec, role: str) -> Tensor:
    """(scales, values that share each). Raises ``ValueError`` where groups do not fit."""
    if spec.granularity == "tensor":
        return x.reshape(1, -1) if role == "weight" else flat(x)[None]
    if spec.granularity == "channel" and role == "weight":
        return x.flatten(1)
    if spec.granularity == "group":
        if x.shape[_features(x, role)] % spec.group:
            raise ValueError(f"group size {spec.group} does not divide {x.shape[_features(x, role)]} features")
        return x.movedim(_features(x, role), -1).reshape(-1, spec.group)
    kept = _kept(x, spec, role)
    shared = [axis for axis in range(x.dim()) if axis not in kept]
    return x.permute(*kept, *shared).flatten(len(kept)).flatten(0, -2)


def spread(scale: Tensor, x: Tensor, spec: QuantSpec, role: str) -> Tensor:
    """``scale``, one per row of :func:`rows`, in a shape to compute with ``x``."""
    if spec.granularity == "tensor":
        return scale.reshape(())
    if spec.granularity == "channel" and role == "weight":
        return scale.reshape(-1, *[1] * (x.dim() - 1))
    if spec.granularity == "group":
        axis = _features(x, role)
        sizes = [n for i, n in enumerate(x.shape) if i != axis]
        return scale.reshape(*sizes, -1).repeat_interleave(spec.group, dim=-1).movedim(-1, axis)
    kept = _kept(x, spec, role)
    return scale.reshape([n if axis in kept else 1 for axis, n in enumerate(x.shape)])


def _features(x: Tensor, role: str) -> int:
    """The axis of features."""
    return x.dim() - 1 if role in ("attention", "kv") or (role == "input" and x.dim() == 3) else 1


def _kept(x: Tensor, spec: QuantSpec, role: str) -> Kept:
    if spec.granularity == "token":
        return tuple(axis for axis in range(x.dim()) if axis != _features(x, role))
    return (1,) if spec.granularity == "head" else (1, 3)  # the latter: a channel of keys or values
