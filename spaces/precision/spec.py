"""One tensor's quantization: a format, who shares a scale, how the scale is found, how values are rounded, and what
goes back to them. It is the gene: frozen, hashable, plain strings and numbers.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from functools import cached_property

from spaces.precision.forms import Format, format_of
from spaces.precision.methods import GRADIENTS, GRANULARITIES, OFFSETS, ROUNDINGS, SCALES, find
from spaces.precision.refused import Refused, unknown


@dataclass(frozen=True)
class QuantSpec:
    """How one tensor is represented by codes.

    ``bits`` per value. ``signed`` codes are symmetric around 0 without the lowest one (narrow: -127..127 at 8 bits),
    unless ``form`` says otherwise; unsigned ones are 0..2^bits - 1. ``granularity``: which values share a scale, of
    ``group`` consecutive inputs where it is ``group``. ``offset``: ``none`` (symmetric), an ``integer`` zero-point, or
    ``real``: real in training, integer in evaluation and export; where not given, what the scale rule finds, and if it
    finds both, ``none`` for signed codes, ``integer`` for unsigned ones. ``gradient``, where not given, is ``clipped``
    for learned scales and ``ste`` else.

    Words with a number, such as ``lp2.4``, set the parameter of a method; its default is left out.

    Raises:
        Refused: a ``ValueError``: a name that no registry has, or parts that cannot work together anywhere. Where a
            spec may be used is :func:`spaces.precision.refusal`'s to say.
    """

    bits: int
    signed: bool
    granularity: str
    group: int = 0
    form: str = "int"
    scale: str = "adaptive"
    offset: str = ""
    rounding: str = "nearest"
    gradient: str = ""

    def __post_init__(self) -> None:
        for field, noun, known in (
            ("granularity", "granularity", GRANULARITIES),
            ("offset", "offset", ("", *OFFSETS)),
        ):
            if getattr(self, field) not in known:
                raise unknown(getattr(self, field), noun, known)
        name, parameter = find(self.scale, "scale rule", SCALES)
        if not self.offset:
            symmetric = not SCALES[name].asymmetric or (self.signed and SCALES[name].symmetric)
            self._set("offset", "none" if symmetric else "integer")
        self._set("scale", _word(name, parameter, SCALES[name].parameter))
        if not self.gradient:
            self._set("gradient", "clipped" if SCALES[name].learned else "ste")
        found, parameter = find(self.gradient, "gradient", GRADIENTS)
        self._set("gradient", _word(found, parameter, GRADIENTS[found].parameter))
        find(self.rounding, "rounding", ROUNDINGS)
        self._check()

    def _set(self, field: str, value: str) -> None:
        object.__setattr__(self, field, value)

    def _check(self) -> None:
        form, scale = self.format, SCALES[self.method[0]]
        if (self.granularity == "group") != (self.group > 0):
            what = "granularity group needs its size" if not self.group else f"{self.granularity} has no group size"
            raise Refused(what, "wrong-group", "write group64 for groups of 64")
        if scale.grouped and self.granularity != "group":
            raise Refused(f"scale rule {self.scale} needs groups", "wrong-group", "write group32 for groups of 32")
        if self.offset != "none" and not form.has_offset:
            raise Refused(f"number format {self.form} cannot be asymmetric", "wrong-offset", "write symmetric")
        if self.offset != "none" and not scale.asymmetric:
            raise Refused(f"scale rule {self.scale} is symmetric only", "wrong-offset", "write symmetric, or minmax")
        if self.offset == "none" and not scale.symmetric:
            raise Refused(f"scale rule {self.scale} is asymmetric only", "wrong-offset", "write asymmetric, or absmax")
        if scale.coarse and ((form.high, form.low) != (1, -1) or form.kind not in ("integer", "binary")):
            hint = "use absmax, lp or statsq"
            raise Refused(f"scale rule {self.scale} is for levels -1, 0, 1 only", "wrong-scale", hint)
        if GRADIENTS[self.estimator[0]].sign and form.kind != "binary":
            raise Refused(f"gradient {self.gradient} estimates a sign, and {self.form} is none", "wrong-gradient")
        if self.rounding == "geometric" and form.kind != "power_of_two":
            raise Refused(f"rounding geometric is for pow2 only, not {self.form}", "wrong-rounding")

    @cached_property
    def format(self) -> Format:
        """Levels and codes."""
        return format_of(self.form, self.bits, self.signed)

    @cached_property
    def method(self) -> tuple[str, float | None]:
        """Name and parameter of the scale rule."""
        return find(self.scale, "scale rule", SCALES)

    @cached_property
    def estimator(self) -> tuple[str, float | None]:
        """Name and parameter of the gradient."""
        return find(self.gradient, "gradient", GRADIENTS)

    @property
    def lowest(self) -> int:
        """The smallest code."""
        return self.format.lowest

    @property
    def highest(self) -> int:
        """The largest code."""
        return self.format.highest

    @property
    def learned(self) -> bool:
        """Whether the scale is a parameter."""
        return SCALES[self.method[0]].learned


def _word(name: str, parameter: float | None, default: float | None) -> str:
    return name if parameter == default else f"{name}{Decimal(repr(parameter)).normalize():f}"
