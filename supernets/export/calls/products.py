"""Products of tensors, norms, and convolutions whose weights are computed."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import torch

from supernets.export.calls.elements import Emit
from supernets.export.calls.site import Operand, Site


def matmul(site: Site) -> None:
    """As torch broadcasts."""
    site.write("MatMul", site.read(site.args[0]), site.read(site.args[1]))


def added(site: Site) -> None:
    """A product plus a tensor."""
    x, *pair = site.args[:3]
    product = site.step("MatMul", *map(site.read, pair))
    if site.at(3, "beta", 1) != 1 or site.at(4, "alpha", 1) != 1:
        raise site.refused("with factors")
    site.write("Add", product, site.read(x))


def einsum(site: Site) -> None:
    """By letters."""
    site.write("Einsum", *map(site.read, site.args[1]), equation=str(site.args[0]))


def linear(site: Site) -> None:
    """With a weight that is computed: a product with its transpose."""
    x, weight, bias = site.args[0], site.args[1], site.at(2, "bias")
    turned = site.step("Transpose", site.read(weight), perm=[1, 0])
    if bias is None:
        site.write("MatMul", site.read(x), turned)
    else:
        site.write("Add", site.step("MatMul", site.read(x), turned), site.read(bias))


def attention(site: Site) -> None:
    """One operator, over (b, heads, t, width)."""
    q, k, v = site.args[:3]
    mask = site.at(3, "attn_mask")
    if q.value.dim() != 4 or site.at(4, "dropout_p", 0.0):
        raise site.refused("of tensors that are not (b, heads, tokens, width)", "give it four dimensions")
    scale = site.options.get("scale")
    inputs = [site.read(x) for x in (q, k, v)] + ([] if mask is None else [site.read(mask)])
    scale = 1 / math.sqrt(q.value.shape[-1]) if scale is None else scale
    site.write("Attention", *inputs, is_causal=int(site.at(5, "is_causal", False)), scale=float(scale))


def layer_norm(site: Site) -> None:
    """Over the last dimensions."""
    x, shape = site.args[0], list(site.args[1])
    weight, bias = site.at(2, "weight"), site.at(3, "bias")
    names = [site.read(weight) if weight is not None else site.constant(torch.ones(shape))]
    names += [] if bias is None else [site.read(bias)]
    eps = float(site.at(4, "eps", 1e-5))
    site.write("LayerNormalization", site.read(x), *names, axis=-len(shape), epsilon=eps)


def rms_norm(site: Site) -> None:
    """By the root of the mean of squares."""
    x, dims = site.args[0], list(range(-len(site.args[1]), 0))
    weight, eps = site.at(2, "weight"), site.at(3, "eps")
    name, dtype = site.read(x), site.made.dtype
    eps = torch.finfo(dtype).eps if eps is None else eps
    squares = site.step("ReduceMean", site.step("Mul", name, name), site.numbers(dims))
    root = site.step("Sqrt", site.step("Add", squares, site.read(float(eps), dtype)))
    if weight is None:
        site.write("Div", name, root)
    else:
        site.write("Mul", site.step("Div", name, root), site.read(weight))


def group_norm(site: Site) -> None:
    """Over groups of channels: in rows of a group each, then the channels' own factors."""
    x, groups = site.args[:2]
    weight, bias, eps = site.at(2, "weight"), site.at(3, "bias"), float(site.at(4, "eps", 1e-5))
    _grouped(site, x, groups, (weight, bias), eps)


def instance_norm(site: Site) -> None:
    """Over the places of each channel."""
    x, weight, bias = site.args[:3]
    if not site.at(5, "use_input_stats", True):
        raise site.refused("with running statistics")
    _grouped(site, x, x.value.shape[1], (weight, bias), float(site.at(7, "eps", 1e-5)))


def _grouped(site: Site, x: Operand, groups: int, own: tuple[Any, Any], eps: float) -> None:
    b, c, *places = x.value.shape
    size = c // groups * math.prod(places)
    rows = site.step("Reshape", site.read(x), site.numbers((b, groups, size)))
    made = site.step("LayerNormalization", rows, site.constant(torch.ones(size)), axis=-1, epsilon=eps)
    column = site.numbers((c, *[1] * len(places)))
    names = [None if value is None else site.step("Reshape", site.read(value), column) for value in own]
    weight, bias = names
    if weight is None and bias is None:
        site.shaped(made, x.value.shape)
        return
    made = site.step("Reshape", made, site.numbers(x.value.shape))
    if weight is not None and bias is not None:
        site.write("Add", site.step("Mul", made, weight), bias)
    else:
        site.write("Mul" if bias is None else "Add", made, weight or bias or "")


def batch_norm(site: Site) -> None:
    """By running statistics."""
    x, weight, bias, mean, variance = site.args[:5]
    if mean is None or site.args[5]:
        raise site.refused("with the statistics of a batch", "put the model into eval() and keep running statistics")
    c = x.value.shape[1]
    names = [
        site.constant(fill(c)) if value is None else site.read(value)
        for value, fill in ((weight, torch.ones), (bias, torch.zeros), (mean, torch.zeros), (variance, torch.ones))
    ]
    site.write("BatchNormalization", site.read(x), *names, epsilon=float(site.args[7]))


def conv(site: Site) -> None:
    """With a weight that is computed."""
    x, weight, bias = site.args[0], site.args[1], site.at(2, "bias")
    rank = x.value.dim() - 2
    stride, padding, dilation = (
        site.at(i, n, (d,) * rank) for i, n, d in ((3, "stride", 1), (4, "padding", 0), (5, "dilation", 1))
    )
    names = [site.read(weight)] + ([] if bias is None else [site.read(bias)])
    attributes = windows(weight.value.shape[2:], stride, padding, dilation)
    site.write("Conv", site.read(x), *names, group=int(site.at(6, "groups", 1)), **attributes)


def conv_transpose(site: Site) -> None:
    """The way back."""
    x, weight, bias = site.args[0], site.args[1], site.at(2, "bias")
    rank = x.value.dim() - 2
    stride, padding, more, dilation = (
        list(site.at(i, n, (d,) * rank))
        for i, n, d in ((3, "stride", 1), (4, "padding", 0), (5, "output_padding", 0), (7, "dilation", 1))
    )
    names = [site.read(weight)] + ([] if bias is None else [site.read(bias)])
    attributes = windows(weight.value.shape[2:], stride, padding, dilation)
    groups = int(site.at(6, "groups", 1))
    site.write(
        "ConvTranspose", site.read(x), *names, group=groups, output_padding=more * (rank // len(more)), **attributes
    )


def windows(kernel: Any, stride: Any, padding: Any, dilation: Any) -> dict[str, list[int]]:
    """Attributes of a convolution over as many dimensions as its kernel has; one number may stand for all."""
    rank = len(kernel)
    strides, dilations = ([v] * rank if isinstance(v, int) else list(v) * (rank // len(v)) for v in (stride, dilation))
    spans = [d * (k - 1) for d, k in zip(dilations, kernel, strict=True)]
    if isinstance(padding, str):
        before = [span // 2 if padding == "same" else 0 for span in spans]
        after = [span - b if padding == "same" else 0 for span, b in zip(spans, before, strict=True)]
    else:
        before = after = [padding] * rank if isinstance(padding, int) else list(padding) * (rank // len(padding))
    return {"kernel_shape": list(kernel), "strides": strides, "pads": [*before, *after], "dilations": dilations}


CALLS: Mapping[str, Emit] = {
    **dict.fromkeys(("matmul", "bmm", "mm"), matmul),
    **dict.fromkeys(("addmm", "baddbmm"), added),
    **dict.fromkeys(("conv1d", "conv2d", "conv3d"), conv),
    **dict.fromkeys(("conv_transpose1d", "conv_transpose2d", "conv_transpose3d"), conv_transpose),
    "einsum": einsum, "linear": linear, "scaled_dot_product_attention": attention, "layer_norm": layer_norm,
    "rms_norm": rms_norm, "group_norm": group_norm, "instance_norm": instance_norm, "batch_norm": batch_norm,
}  # fmt: skip
"""By the name in the middle of ``aten.name.overload``."""
