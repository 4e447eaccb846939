"""Precisions as data: how a layer's weight and its input are represented, and which pairs are legal.

A precision is written and stored by its canonical name (``float``, ``w8a8``, ``w4a8``), so that an architecture holds
plain JSON values; :class:`Precision` is what the rooms above read.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from typing import Any


@dataclass(frozen=True)
class QuantSpec:
    """How one tensor is represented by integers.

    ``bits`` per value; ``signed`` symmetric codes around 0 without the lowest one (narrow: -127..127 at 8 bits), or
    unsigned codes 0..2^bits - 1 with an integer zero-point; ``granularity`` of the scale: ``channel`` (output
    channels) or ``tensor``.
    """

    bits: int
    signed: bool
    granularity: str

    @property
    def lowest(self) -> int:
        """The smallest code."""
        return 1 - (1 << (self.bits - 1)) if self.signed else 0

    @property
    def highest(self) -> int:
        """The largest code."""
        return (1 << (self.bits - 1)) - 1 if self.signed else (1 << self.bits) - 1


@dataclass(frozen=True)
class Precision:
    """One value of a precision choice: the pair (weight, input); both ``None`` for ``float``."""

    weight: QuantSpec | None
    input: QuantSpec | None

    @property
    def name(self) -> str:
        """Canonical name: ``float`` or ``w<bits>a<bits>``."""
        if self.weight is None or self.input is None:
            return "float"
        return f"w{self.weight.bits}a{self.input.bits}"

    @property
    def quantized(self) -> bool:
        """Whether weight and input are integers."""
        return self.weight is not None


FLOAT = Precision(None, None)

# Weight bits and input bits that a layer may take, per kind of layer. Widths other than 8 for inputs have no kernel on
# any CPU we know, and no exporter here yet: they are not legal, rather than silently simulated.
LEGAL: dict[str, frozenset[str]] = {
    "conv": frozenset({"float", "w8a8", "w4a8"}),
    "linear": frozenset({"float", "w8a8", "w4a8"}),
}


def legal(name: str, kind: str) -> bool:
    """Whether a layer of ``kind`` may take the precision of this canonical name."""
    return name in LEGAL.get(kind, frozenset())


@cache
def parse(name: str) -> Precision:
    """The precision of a canonical name. Raises ``ValueError`` for any other text."""
    if name == "float":
        return FLOAT
    match = re.fullmatch(r"w([1-8])a([1-8])", name)
    if match is None:
        raise ValueError(f"unknown precision {name!r}: write float, or w<bits>a<bits> such as w8a8")
    return Precision(QuantSpec(int(match[1]), True, "channel"), QuantSpec(int(match[2]), False, "tensor"))


def from_mapping(value: dict[str, Any]) -> str:
    """Canonical name of the long form ``{weights: {bits, granularity}, inputs: {bits}}``.

    Raises ``ValueError`` naming the key that is not understood.
    """
    if set(value) != {"weights", "inputs"}:
        raise ValueError("a precision needs exactly the keys weights and inputs")
    weights, inputs = value["weights"], value["inputs"]
    known = {"weights": ({"bits", "granularity"}, "channel"), "inputs": ({"bits", "granularity"}, "tensor")}
    for role, spec in (("weights", weights), ("inputs", inputs)):
        keys, granularity = known[role]
        if not isinstance(spec, dict) or type(spec.get("bits")) is not int or not 1 <= spec["bits"] <= 8:
            raise ValueError(f"{role} needs bits, a whole number from 1 to 8")
        if unknown := set(spec) - keys:
            raise ValueError(f"unknown key {min(map(str, unknown))!r} in {role}; known: bits, granularity")
        if spec.get("granularity", granularity) != granularity:
            raise ValueError(f"{role} can have granularity {granularity} only")
    return f"w{weights['bits']}a{inputs['bits']}"
