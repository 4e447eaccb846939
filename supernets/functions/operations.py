"""The operations of torch that a traced network may consist of. A file that names another one is refused."""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping
from functools import cache
from typing import Any

import torch

ELEMENTS = (
    "abs", "add", "addcdiv", "addcmul", "alias", "atan2", "bitwise_and", "bitwise_not", "bitwise_or", "celu", "clamp",
    "clamp_max", "clamp_min", "clone", "contiguous", "copysign", "cos", "div", "elu", "empty_like", "eq", "erf", "exp",
    "expm1", "floor", "floor_divide", "fmod", "full_like", "ge", "gelu", "gt", "hardshrink", "hardsigmoid",
    "hardswish", "hardtanh", "isinf", "isnan", "le", "leaky_relu", "lerp", "log", "log1p", "log2", "log_sigmoid",
    "log_softmax", "logical_and", "logical_not", "logical_or", "lt", "masked_fill", "maximum", "minimum", "mish", "mul",
    "ne", "neg", "ones_like", "pow", "reciprocal", "relu", "relu6", "remainder", "round", "rsqrt", "rsub", "selu",
    "sigmoid", "sign", "silu", "sin", "softmax", "softplus", "softshrink", "sqrt", "square", "sub", "tan",
    "tanh", "threshold", "to", "_to_copy", "trunc", "type_as", "where", "zeros_like",
)  # fmt: skip
REDUCTIONS = ("all", "amax", "amin", "any", "logsumexp", "max", "mean", "median", "min", "norm", "prod", "std", "sum",
              "var", "linalg_vector_norm")  # fmt: skip
POOLS = (
    *(f"{kind}_pool{n}d" for kind in ("max", "avg", "adaptive_avg", "adaptive_max") for n in (1, 2, 3)),
    *(f"upsample_{kind}" for kind in ("nearest1d", "nearest2d", "bilinear2d", "bicubic2d", "linear1d", "trilinear3d")),
    "_upsample_nearest_exact2d", "_upsample_bilinear2d_aa", "_upsample_bicubic2d_aa",
)  # fmt: skip
RESHAPES = ("reshape", "view", "_unsafe_view", "flatten", "unflatten", "squeeze", "unsqueeze", "view_as", "reshape_as")
FILLED = ("zeros", "ones", "full", "empty", "new_zeros", "new_ones", "new_full", "new_empty")
ALONG = ("argsort", "cumprod", "cumsum", "flip", "roll")
OPAQUE = (
    "arange", "argmax", "argmin", "bucketize", "cdist", "col2im", "diagonal", "eye", "fft_fft2", "fft_irfft2",
    "fft_rfft2", "gather", "grid_sampler", "im2col", "index_add", "index_put", "index_select", "linspace", "one_hot",
    "scatter", "scatter_add", "take_along_dim", "tril", "triu", "unfold", "view_as_complex", "view_as_real",
)  # fmt: skip
OTHERS = (
    "addmm", "baddbmm", "batch_norm", "bmm", "cat", "channel_shuffle", "chunk", "constant_pad_nd", "conv1d", "conv2d",
    "conv3d", "conv_transpose1d", "conv_transpose2d", "conv_transpose3d", "einsum", "embedding", "expand", "expand_as",
    "glu", "group_norm", "index", "instance_norm", "layer_norm", "linear", "matmul", "mm", "movedim", "numpy_T", "pad",
    "permute", "pixel_shuffle", "pixel_unshuffle", "prelu", "repeat", "rms_norm", "scaled_dot_product_attention",
    "select", "slice", "split", "split_with_sizes", "stack", "swapaxes", "sym_size", "t", "transpose", "unbind",
)  # fmt: skip
MOVES = frozenset((
    *RESHAPES, "alias", "channel_shuffle", "chunk", "clone", "contiguous", "expand", "expand_as", "getitem",
    "max_pool1d", "max_pool2d", "max_pool3d", "movedim", "numpy_T", "permute", "pixel_shuffle", "pixel_unshuffle",
    "repeat", "select", "slice", "split", "split_with_sizes", "swapaxes", "t", "transpose", "unbind",
))  # fmt: skip
"""What they give are values of their first argument: stored in 8 bits, they stay as they are."""
KNOWN = frozenset((*ELEMENTS, *REDUCTIONS, *POOLS, *RESHAPES, *FILLED, *ALONG, *OPAQUE, *OTHERS))
"""By the name in the middle of ``aten.name.overload``."""

PYTHON: Mapping[str, Callable[..., Any]] = {
    "getitem": operator.getitem,
    "number_add": operator.add,
    "number_floordiv": operator.floordiv,
    "number_mul": operator.mul,
    "number_sub": operator.sub,
}
"""On several tensors, and on sizes that depend on the batch."""


class UnknownOperation(ValueError):
    """An operation that is not in the list."""


@cache
def operation(name: str) -> Callable[..., Any]:
    """What ``aten.add.Tensor`` names. Raises :class:`UnknownOperation`."""
    if name in PYTHON:
        return PYTHON[name]
    parts = name.split(".")
    if len(parts) == 3 and parts[0] == "aten" and parts[1] in KNOWN:
        packet = getattr(torch.ops.aten, parts[1], None)
        if packet is not None and parts[2] in packet.overloads():
            return getattr(packet, parts[2])  # type: ignore[no-any-return]
    raise UnknownOperation(f"operation {name!r} is none that a traced network may have [unknown-operation]")
