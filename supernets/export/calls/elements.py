"""Operations element by element."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch

from supernets.export.calls.site import TYPES, Operand, Site

Emit = Callable[[Site], Any]


def one(op: str, **attributes: Any) -> Emit:
    """Of one tensor, a node of this type."""

    def emit(site: Site) -> None:
        site.write(
            op, site.read(site.args[0], site.made.dtype if site.made.is_floating_point() else None), **attributes
        )

    return emit


def two(op: str, swapped: bool = False, dtype: torch.dtype | None = None) -> Emit:
    """Of two, in the type that torch computes with; ``alpha`` times the second."""

    def emit(site: Site) -> None:
        x, y = site.args[:2]
        common = dtype or _common(x, y)
        common = common if op != "Div" or common.is_floating_point else site.made.dtype
        names = [site.read(value, common) for value in (x, y)]
        alpha = site.at(2, "alpha", 1)
        if alpha != 1:
            factored = 0 if swapped else 1
            names[factored] = site.step("Mul", names[factored], site.read(alpha, common))
        if site.options.get("rounding_mode") is not None:
            raise site.refused("with a rounding mode")
        site.write(op, *(reversed(names) if swapped else names))

    return emit


def _common(x: Any, y: Any) -> torch.dtype:
    values = [value.value if isinstance(value, Operand) else value for value in (x, y)]
    return torch.result_type(*values)


def unequal(site: Site) -> None:
    """Where two differ."""
    x, y = site.args[:2]
    common = _common(x, y)
    site.write("Not", site.step("Equal", site.read(x, common), site.read(y, common)))


def same(site: Site) -> None:
    """The tensor itself, perhaps in another type."""
    x = site.args[0]
    if x.value.dtype == site.made.dtype:
        site.write("Identity", site.read(x))
    else:
        site.write("Cast", site.read(x), to=TYPES[site.made.dtype])


def clamped(site: Site) -> None:
    """Between limits, of which one may be left out."""
    name = site.op.split(".")[1]
    low, high = {
        "clamp_min": (site.at(1, "min"), None), "clamp_max": (None, site.at(1, "max")), "relu6": (0, 6),
        "hardtanh": (site.at(1, "min_val", -1), site.at(2, "max_val", 1)),
    }.get(name, (site.at(1, "min"), site.at(2, "max")))  # fmt: skip
    x, dtype = site.read(site.args[0], site.made.dtype), site.made.dtype
    limits = [("Max", low), ("Min", high)]
    if any(isinstance(limit, Operand) for _, limit in limits):
        for op, limit in limits:
            x = x if limit is None else site.step(op, x, site.read(limit, dtype))
        site.write("Identity", x)
    else:
        site.write("Clip", x, *("" if limit is None else site.read(limit, dtype) for _, limit in limits))


def gelu(site: Site) -> None:
    """Exact, or with a tanh."""
    site.write("Gelu", site.read(site.args[0]), approximate=site.at(1, "approximate", "none"))


def silu(site: Site) -> None:
    """The runtime makes one node of the two."""
    x = site.read(site.args[0])
    site.write("Mul", x, site.step("Sigmoid", x))


def rsqrt(site: Site) -> None:
    """One over the square root."""
    site.write("Reciprocal", site.step("Sqrt", site.read(site.args[0])))


def square(site: Site) -> None:
    """Times itself."""
    x = site.read(site.args[0])
    site.write("Mul", x, x)


def expm1(site: Site) -> None:
    """One less than the exponential."""
    site.write("Sub", site.step("Exp", site.read(site.args[0])), site.read(1.0, site.made.dtype))


def log_of(base: float) -> Emit:
    """Logarithm to this base."""

    def emit(site: Site) -> None:
        factor = 1 / torch.tensor(base, dtype=torch.float64).log().item()
        site.write("Mul", site.step("Log", site.read(site.args[0])), site.read(factor, site.made.dtype))

    return emit


def log1p(site: Site) -> None:
    """Logarithm of one more."""
    site.write("Log", site.step("Add", site.read(site.args[0]), site.read(1.0, site.made.dtype)))


def log_sigmoid(site: Site) -> None:
    """Minus the softplus of the negative."""
    site.write("Neg", site.step("Softplus", site.step("Neg", site.read(site.args[0]))))


def softplus(site: Site) -> None:
    """With torch's own sharpness only."""
    if site.at(1, "beta", 1) != 1:
        raise site.refused("with beta")
    site.write("Softplus", site.read(site.args[0]))


def with_slope(op: str, otherwise: float) -> Emit:
    """One slope, ``alpha`` in the node."""

    def emit(site: Site) -> None:
        slopes = [site.at(1, name) for name in ("negative_slope", "alpha") if site.at(1, name) is not None]
        if any(value != 1 for value in site.args[2:]):
            raise site.refused("with a scale")
        site.write(op, site.read(site.args[0]), alpha=float(slopes[0] if slopes else otherwise))

    return emit


def shrunk(bias: bool) -> Emit:
    """Nothing within ``lambd`` of zero."""

    def emit(site: Site) -> None:
        lambd = float(site.at(1, "lambd", 0.5))
        site.write("Shrink", site.read(site.args[0]), lambd=lambd, bias=lambd if bias else 0.0)

    return emit


def where(site: Site) -> None:
    """One or the other."""
    condition, x, y = site.args[:3]
    dtype = site.made.dtype
    site.write("Where", site.read(condition), site.read(x, dtype), site.read(y, dtype))


def masked_fill(site: Site) -> None:
    """A value where the mask is set."""
    x, mask, value = site.args[:3]
    site.write("Where", site.read(mask), site.read(value, site.made.dtype), site.read(x))


def addcmul(op: str) -> Emit:
    """Plus ``value`` times a product, or a quotient."""

    def emit(site: Site) -> None:
        x, *pair = site.args[:3]
        product = site.step(op, *map(site.read, pair))
        factor = site.at(3, "value", 1)
        if factor != 1:
            product = site.step("Mul", product, site.read(factor, site.made.dtype))
        site.write("Add", site.read(x), product)

    return emit


def lerp(site: Site) -> None:
    """From one to the other."""
    start, end, weight = site.args[:3]
    x = site.read(start)
    way = site.step("Mul", site.step("Sub", site.read(end), x), site.read(weight, site.made.dtype))
    site.write("Add", x, way)


def modulo(fmod: int) -> Emit:
    """The remainder; of whole numbers with the sign of the divisor, or as C has it."""

    def emit(site: Site) -> None:
        x, y = site.args[:2]
        common = _common(x, y)
        if common.is_floating_point and not fmod:
            raise site.refused("of fractions", "use torch.fmod")
        site.write("Mod", site.read(x, common), site.read(y, common), fmod=fmod)

    return emit


def normed(op: str) -> Emit:
    """Softmax, or its logarithm."""

    def emit(site: Site) -> None:
        site.write(op, site.read(site.args[0], site.made.dtype), axis=site.at(1, "dim"))

    return emit


def prelu(site: Site) -> None:
    """A slope for each channel."""
    x, slopes = site.args[:2]
    column = slopes.value.reshape(-1, *[1] * (x.value.dim() - 2)) if slopes.constant else None
    if column is None:
        raise site.refused("with computed slopes")
    site.write("PRelu", site.read(x), site.constant(column.detach()))


def glu(site: Site) -> None:
    """One half times the sigmoid of the other."""
    x, dim = site.args[0], site.at(1, "dim", -1)
    half, name, axis = x.value.shape[dim] // 2, site.read(x), site.numbers((dim,))
    first, second = (site.step("Slice", name, site.numbers((i * half,)), site.numbers(((i + 1) * half,)), axis)
                     for i in (0, 1))  # fmt: skip
    site.write("Mul", first, site.step("Sigmoid", second))


_PLAIN = ("abs", "neg", "relu", "sigmoid", "tanh", "exp", "log", "sqrt", "reciprocal", "sin", "cos", "tan", "floor",
          "round", "sign", "erf", "selu", "mish")  # fmt: skip
CALLS: Mapping[str, Emit] = {
    **{name: one(name.capitalize()) for name in _PLAIN},
    **dict.fromkeys(("logical_not", "bitwise_not"), one("Not")),
    **dict.fromkeys(("clone", "contiguous", "alias", "to", "_to_copy", "type_as"), same),
    **dict.fromkeys(("clamp", "clamp_min", "clamp_max", "relu6", "hardtanh"), clamped),
    "hardswish": one("HardSwish"), "hardsigmoid": one("HardSigmoid", alpha=1 / 6, beta=0.5),
    "isnan": one("IsNaN"), "isinf": one("IsInf"),
    "add": two("Add"), "sub": two("Sub"), "rsub": two("Sub", swapped=True), "mul": two("Mul"), "div": two("Div"),
    "maximum": two("Max"), "minimum": two("Min"), "pow": two("Pow"), "eq": two("Equal"), "gt": two("Greater"),
    "ge": two("GreaterOrEqual"), "lt": two("Less"), "le": two("LessOrEqual"), "ne": unequal,
    "logical_and": two("And", dtype=torch.bool), "logical_or": two("Or", dtype=torch.bool),
    "bitwise_and": two("And", dtype=torch.bool), "bitwise_or": two("Or", dtype=torch.bool),
    "remainder": modulo(0), "fmod": modulo(1), "gelu": gelu, "silu": silu, "rsqrt": rsqrt, "square": square,
    "expm1": expm1, "log1p": log1p, "log2": log_of(2.0), "log_sigmoid": log_sigmoid, "softplus": softplus,
    "leaky_relu": with_slope("LeakyRelu", 0.01), "elu": with_slope("Elu", 1.0), "celu": with_slope("Celu", 1.0),
    "hardshrink": shrunk(False), "softshrink": shrunk(True), "where": where, "masked_fill": masked_fill,
    "addcmul": addcmul("Mul"), "addcdiv": addcmul("Div"), "lerp": lerp, "softmax": normed("Softmax"),
    "log_softmax": normed("LogSoftmax"), "prelu": prelu, "glu": glu,
}  # fmt: skip
"""By the name in the middle of ``aten.name.overload``."""
