"""Values of some dimensions taken together, and pools."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

import torch

from supernets.export.calls.elements import Emit, two
from supernets.export.calls.site import Operand, Site


def _over(site: Site, place: int = 1) -> tuple[list[int], bool]:
    """(the dimensions that are taken together, whether they stay as one place)."""
    rank = site.args[0].value.dim()
    dims = site.at(place, "dim")
    dims = [dims] if isinstance(dims, int) else list(dims or range(rank))
    return [d % rank for d in dims], site.made.dim() == rank


def reduced(op: str) -> Emit:
    """A node of this type."""

    def emit(site: Site) -> None:
        if len(site.args) > 1 and isinstance(site.args[1], Operand):
            two(op.removeprefix("Reduce"))(site)
            return
        dims, kept = _over(site)
        site.write(op, site.read(site.args[0], site.made.dtype), site.numbers(dims), keepdims=int(kept))

    return emit


def mean(site: Site) -> None:
    """Over all places of a picture a pool, which has an integer kernel."""
    x = site.args[0]
    dims, kept = _over(site)
    if x.value.dim() < 3 or sorted(dims) != list(range(2, x.value.dim())):
        reduced("ReduceMean")(site)
    elif kept:
        site.write("GlobalAveragePool", site.read(x))
    else:
        site.shaped(site.step("GlobalAveragePool", site.read(x)), site.made.shape)


def spread(root: bool) -> Emit:
    """Variance, or standard deviation."""

    def emit(site: Site) -> None:
        x = site.args[0]
        dims, kept = _over(site)
        n = torch.Size([x.value.shape[d] for d in dims]).numel()
        less = site.options.get("correction", 1)
        less = int(site.args[2]) if len(site.args) > 2 and less == 1 else less
        less = 1 if less is None else less
        name, axes = site.read(x), site.numbers(dims)
        apart = site.step("Sub", name, site.step("ReduceMean", name, axes))
        squares = site.step("ReduceMean", site.step("Mul", apart, apart), axes, keepdims=int(kept))
        factor = site.read(n / (n - less), site.made.dtype)
        if root:
            site.write("Sqrt", site.step("Mul", squares, factor))
        else:
            site.write("Mul", squares, factor)

    return emit


def norm(site: Site) -> None:
    """Of order 1 or 2."""
    order = site.at(1, "ord", site.options.get("p", 2))
    if order not in (1, 2, None):
        raise site.refused(f"of order {order}", "use torch.sum, torch.amax and torch.pow")
    dims, kept = _over(site, 2)
    site.write(f"ReduceL{int(order or 2)}", site.read(site.args[0]), site.numbers(dims), keepdims=int(kept))


def pool(site: Site) -> None:
    """Windows, as wide as they say or as the output asks for."""
    found = re.fullmatch(r"(adaptive_)?(max|avg)_pool(\d)d", site.op.split(".")[1])
    assert found is not None
    x, count = site.args[0], int(found[3])
    op = {"max": "MaxPool", "avg": "AveragePool"}[found[2]]
    if found[1]:
        _adaptive(site, op, count)
        return
    kernel = _many(site.args[1], count)
    strides = _many(site.at(2, "stride"), count) or kernel
    padding = _many(site.at(3, "padding", 0), count)
    attributes: dict[str, Any] = {"kernel_shape": kernel, "strides": strides, "pads": [*padding, *padding]}
    attributes["ceil_mode"] = int(site.at(5 if op == "MaxPool" else 4, "ceil_mode", False))
    if op == "MaxPool":
        attributes["dilations"] = _many(site.at(4, "dilation", 1), count)
    else:
        if site.at(6, "divisor_override") is not None:
            raise site.refused("with a divisor of its own")
        attributes["count_include_pad"] = int(site.at(5, "count_include_pad", True))
    _pooled(site, op, site.read(x), attributes)


def _adaptive(site: Site, op: str, count: int) -> None:
    x = site.args[0]
    sizes, wanted = x.value.shape[-count:], site.made.shape[-count:]
    if isinstance(site.made, tuple) or any(size % out for size, out in zip(sizes, wanted, strict=True)):
        raise site.refused(f"from {tuple(sizes)} to {tuple(wanted)} places", "use sizes that divide each other")
    if all(out == 1 for out in wanted):
        site.write(f"Global{op}", site.read(x))
    else:
        kernel = [size // out for size, out in zip(sizes, wanted, strict=True)]
        _pooled(site, op, site.read(x), {"kernel_shape": kernel, "strides": kernel})


def _pooled(site: Site, op: str, x: str, attributes: Mapping[str, Any]) -> None:
    """Means with floats: the runtime's integer kernel for windows takes six times as long. The largest of floats too:
    else the runtime rounds before it, and its integer kernel for channels first takes ten times as long and more."""
    floats = op == "AveragePool" or not site.writer.stored8(site.args[0].name)
    if floats and site.writer.stored8(site.path):
        site.writer.apart(site.step(op, x, **attributes), site.path)
    else:
        site.write(op, x, **attributes)


def _many(value: Any, count: int) -> list[int]:
    if value is None or value == ():
        return []
    return [value] * count if isinstance(value, int) else list(value) * (count // len(value))


def resized(mode: str, aligned: bool = False, **attributes: Any) -> Emit:
    """Up- or down-sampling to the size of the output."""

    def emit(site: Site) -> None:
        corners = aligned and bool(site.at(2, "align_corners", False))
        moved = "align_corners" if corners else "half_pixel" if aligned else "asymmetric"
        sizes = site.numbers(site.made.shape)
        given = {"coordinate_transformation_mode": moved, **attributes}
        site.write("Resize", site.read(site.args[0]), "", "", sizes, mode=mode, **given)

    return emit


_nearest = resized("nearest", nearest_mode="floor")
_linear = resized("linear", aligned=True)
_SAMPLED: Mapping[str, Emit] = {
    "upsample_nearest1d": _nearest, "upsample_nearest2d": _nearest,
    "_upsample_nearest_exact2d": resized(
        "nearest", nearest_mode="round_prefer_ceil", coordinate_transformation_mode="half_pixel"
    ),
    "upsample_linear1d": _linear, "upsample_bilinear2d": _linear,
    "upsample_bicubic2d": resized("cubic", aligned=True, cubic_coeff_a=-0.75),
}  # fmt: skip


def _windows() -> Sequence[str]:
    return [f"{kind}_pool{n}d" for kind in ("max", "avg", "adaptive_avg", "adaptive_max") for n in (1, 2, 3)]


CALLS: Mapping[str, Emit] = {
    **dict.fromkeys(_windows(), pool),
    **_SAMPLED,
    "mean": mean, "sum": reduced("ReduceSum"), "amax": reduced("ReduceMax"), "amin": reduced("ReduceMin"),
    "max": reduced("ReduceMax"), "min": reduced("ReduceMin"), "prod": reduced("ReduceProd"),
    "logsumexp": reduced("ReduceLogSumExp"), "var": spread(False), "std": spread(True), "norm": norm,
    "linalg_vector_norm": norm,
}  # fmt: skip
"""By the name in the middle of ``aten.name.overload``."""
