"""The methods that a spec is composed of, as data: what each can be combined with. The arithmetic is in
``supernets/quantization``, one file per method, in registries of the same names.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from spaces.precision.refused import Refused, parted, unknown

GRANULARITIES: dict[str, frozenset[str]] = {
    "tensor": frozenset({"weight", "input", "attention", "kv"}),
    "channel": frozenset({"weight", "kv"}),  # a scale per input channel cannot leave the sum of an integer kernel
    "group": frozenset({"weight", "input", "kv"}),
    "token": frozenset({"input", "attention", "kv"}),
    "head": frozenset({"attention", "kv"}),
}
"""Which values share a scale -> the roles that can have it so."""

OFFSETS = ("none", "integer", "real")
"""``real`` is real in training and becomes an integer zero-point in evaluation and export."""


@dataclass(frozen=True)
class Method:
    """``parameter``: the default of the number that may follow its name, within ``bounds``; ``None`` if none may."""

    parameter: float | None = None
    bounds: tuple[float, float] = (0.0, 100.0)


@dataclass(frozen=True)
class Scale(Method):
    """A scale rule: the offsets it can find (``symmetric``, ``asymmetric``), whether it is ``learned``, the bits of a
    stored scale and of one more per tensor, ``coarse``: only for levels -1, 0, 1, ``grouped``: only per group."""

    symmetric: bool = True
    asymmetric: bool = False
    learned: bool = False
    bits: int = 32
    tensor_bits: int = 0
    coarse: bool = False
    grouped: bool = False


@dataclass(frozen=True)
class Gradient(Method):
    """What goes back to the values. ``sign``: estimates the derivative of a sign, so for binary formats only;
    ``periodic``: the size of a weight means nothing, so channels cannot be ranked by it."""

    sign: bool = False
    periodic: bool = False


SCALES: dict[str, Scale] = {
    "adaptive": Scale(asymmetric=True),  # the rule of this platform: absmax above 4 bits, lsq's start below
    "absmax": Scale(),
    "routed": Scale(),  # absmax, with its gradient
    "minmax": Scale(symmetric=False, asymmetric=True),
    "percentile": Scale(99.9, (50, 100), asymmetric=True),
    "lp": Scale(2.4, (0.5, 10), asymmetric=True),
    "statsq": Scale(),
    "mean": Scale(coarse=True),
    "median": Scale(coarse=True),
    "fourthirds": Scale(coarse=True),
    "lsq": Scale(learned=True),
    "lsqplus": Scale(asymmetric=True, learned=True),
    "eqnet": Scale(2.4, (0.5, 10), asymmetric=True, learned=True),
    "mx": Scale(bits=8, grouped=True),
    "mxceil": Scale(bits=8, grouped=True),
    "nv": Scale(bits=8, tensor_bits=32, grouped=True),
}

ROUNDINGS: dict[str, Method] = {
    "nearest": Method(),
    "stochastic": Method(),
    "noise": Method(),
    "gaussian": Method(),
    "geometric": Method(),
    "adaround": Method(),
}

GRADIENTS: dict[str, Gradient] = {
    "ste": Gradient(),
    "clipped": Gradient(),
    "polynomial": Gradient(sign=True),
    "reste": Gradient(3.0, (1, 10), sign=True),
    "biper": Gradient(30.0, (1, 1000), sign=True, periodic=True),
}


def find(word: str, noun: str, methods: Mapping[str, Method]) -> tuple[str, float | None]:
    """(name, parameter) of a word such as ``lp2.4``, the default filled in. Raises :class:`Refused`."""
    name, number = parted(word, methods)
    if name not in methods:
        raise unknown(word, noun, methods)
    default = methods[name].parameter
    if number is not None and default is None:
        raise Refused(f"{noun} {name} takes no number, got {word!r}", "unknown-name", f"write {name}")
    if number is None:
        return name, default
    low, high = methods[name].bounds
    if not low <= number <= high:
        raise Refused(f"the number of {noun} {name} is from {low:g} to {high:g}, not {number:g}", "out-of-range")
    return name, number
