"""A layer's precision: the pair of its weight's and its input's spec, and its canonical name.

``float``, ``w8a8``, ``w4a8`` are pairs of the roles' defaults; others are two names joined by a slash, such as
``w4-group64/a8-token``, either of which may be ``float``. An architecture holds the name, a plain JSON value;
:class:`Precision` is what the rooms above read.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from typing import Any

from spaces.precision.names import name_of, spec_of
from spaces.precision.spec import QuantSpec


@dataclass(frozen=True)
class Precision:
    """One value of a precision choice: the pair (weight, input); both ``None`` for ``float``."""

    weight: QuantSpec | None
    input: QuantSpec | None

    @property
    def name(self) -> str:
        """Canonical name; :func:`parse` gives the precision back."""
        return _name(self)

    @property
    def quantized(self) -> bool:
        """Whether the weight is codes."""
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
    """The precision of a name. Raises ``ValueError``, and its kind ``Refused`` for a spec that cannot be."""
    if name == "float":
        return FLOAT
    if match := re.fullmatch(r"(w[1-8])(a[1-8])", name):
        return Precision(spec_of(match[1], "weight"), spec_of(match[2], "input"))
    match = re.fullmatch(r"(float|w[1-8](?:-.+)?)/(float|a[1-8](?:-.+)?)", name)
    if match is None:
        raise ValueError(f"unknown precision {name!r}: write float, or w<bits>a<bits> such as w8a8")
    weight, given = match.groups()
    return Precision(
        None if weight == "float" else spec_of(weight, "weight"), None if given == "float" else spec_of(given, "input")
    )


@cache
def _name(precision: Precision) -> str:
    weight, given = precision.weight, precision.input
    if weight is None and given is None:
        return "float"
    parts = ["float" if s is None else name_of(s, role) for s, role in ((weight, "weight"), (given, "input"))]
    return "".join(parts) if all(len(part) == 2 for part in parts) else "/".join(parts)


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
