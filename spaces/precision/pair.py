"""A layer's precision: the pair of its weight's and its input's spec, and its canonical name.

``float``, ``w8a8``, ``w4a8`` are pairs of the roles' defaults; others are two names joined by a slash, such as
``w4-group64/a8-token``, either of which may be ``float``. An architecture holds the name, a plain JSON value;
:class:`Precision` is what the rooms above read.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache, cached_property

from spaces.precision.names import name_of, spec_of
from spaces.precision.refused import Refused
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
        """Whether anything is rounded."""
        return self.weight is not None or self.input is not None

    @cached_property
    def integer(self) -> bool:
        """Whether integer kernels can compute it: whole weights without an offset, a scale per channel or for all;
        inputs stored in 8 bits on the grid of their range, perhaps read in fewer. All else is simulated in float."""
        weight, given = self.weight, self.input
        if weight is None or given is None or weight.format.kind != "integer" or weight.offset != "none":
            return False
        return weight.granularity in ("tensor", "channel") and given == QuantSpec(given.bits, False, "tensor")

    @cached_property
    def blockwise(self) -> bool:
        """Whether kernels of weights in blocks compute it: whole weights without an offset and a scale per group of
        inputs, over inputs rounded to 8 bits, symmetric, by the largest value of the same groups."""
        weight, given = self.weight, self.input
        if weight is None or given is None or weight.granularity != "group" or not weight.signed:
            return False
        whole = weight.form == "int" and weight.offset == "none"
        return whole and _stored(given, "input") == QuantSpec(8, True, "group", weight.group)

    @cached_property
    def kernel(self) -> str:
        """Its name as menus of devices have it: where integer kernels compute it, the bits alone.

        How a scale was found, and how values were rounded in training, is nothing to them.
        """
        if self.integer and self.weight and self.input:
            return f"w{self.weight.bits}a{self.input.bits}"
        return Precision(_stored(self.weight, "weight"), _stored(self.input, "input")).name


FLOAT = Precision(None, None)
_SCALED = frozenset({"int", "e4m3"})  # formats of which kernels are told the scale, whatever rule found it
_WHOLE_RANGE = frozenset({"adaptive", "absmax", "routed"})  # the rule of kernels that find scales of inputs themselves


def _stored(spec: QuantSpec | None, role: str) -> QuantSpec | None:
    """What a kernel sees of a spec."""
    if spec is None or spec.form not in _SCALED or spec.offset != "none" or not spec.signed:
        return spec
    if role == "input" and spec.granularity != "tensor" and spec.scale not in _WHOLE_RANGE:
        return spec
    return QuantSpec(spec.bits, spec.signed, spec.granularity, spec.group, spec.form)


def in_blocks(bits: int, group: int) -> Precision:
    """Weights of so many bits in blocks of ``group`` inputs, over inputs in the same blocks: see ``blockwise``."""
    return parse(f"w{bits}-group{group}/a8-symmetric-group{group}")


@cache
def parse(name: str) -> Precision:
    """The precision of a name. Raises :class:`Refused`, a ``ValueError``, for any other text, or what cannot be."""
    if name == "float":
        return FLOAT
    if match := re.fullmatch(r"(w[1-8])(a[1-8])", name):
        return Precision(spec_of(match[1], "weight"), spec_of(match[2], "input"))
    match = re.fullmatch(r"(float|w[1-8](?:-.+)?)/(float|a[1-8](?:-.+)?)", name)
    if match is None:
        what = f"unknown precision {name!r}: write float, or w<bits>a<bits> such as w8a8"
        if "/" in name or "-" in name:
            what += ", or such as w4-asymmetric/a8 or w2-ternary-mean/float: bits first, also of formats"
        raise Refused(what, "unknown-name")
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
