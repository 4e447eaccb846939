"""Number formats as data: which levels a code of so many bits can mean, in units of the scale.

A *form* is a family of formats by name; bits and sign make one :class:`Format` of it. How values are rounded to the
levels is in ``supernets/quantization/formats``, one file per kind.

Sources: mid-rise levels Liu et al. 2023 (OFQ), section 3.2; minifloats as the OCP specifications of 8-bit floats (2023)
and of microscaling formats (2023) define them: E4M3 gives one code per sign to NaN, E5M2 one exponent to infinity and
NaN, the smaller ones none; powers of two You et al. 2023 (ShiftAddViT), section 3.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from spaces.precision.refused import Refused, unknown


@dataclass(frozen=True)
class Format:
    """``kind`` names the arithmetic; ``low``, ``high`` the outermost levels, ``lowest``, ``highest`` the last codes.

    Codes of integers are the integers; codes of the other kinds are the patterns 0..2^bits - 1. ``exponent`` and
    ``mantissa`` are bits of a minifloat. ``per_byte`` codes fit a byte when packed tightly, where that is more than 8 /
    bits: five ternary ones, as 3^5 < 2^8. ``learned``: the levels themselves are parameters.
    """

    kind: str
    bits: int
    low: float
    high: float
    has_zero: bool = True
    lowest: int = 0
    highest: int = 0
    exponent: int = 0
    mantissa: int = 0
    per_byte: int | None = None
    learned: bool = False

    @property
    def has_offset(self) -> bool:
        """Whether a zero-point can shift the codes: only where all steps are equal and codes are the integers."""
        return self.kind == "integer"


def _integer(bits: int, signed: bool) -> Format:
    low, high = (1 - (1 << (bits - 1)), (1 << (bits - 1)) - 1) if signed else (0, (1 << bits) - 1)
    return Format("integer", bits, low, high, lowest=low, highest=high)


def _full(bits: int, signed: bool) -> Format:
    low, high = -(1 << (bits - 1)), (1 << (bits - 1)) - 1
    return Format("integer", bits, low, high, lowest=low, highest=high)


def _midrise(bits: int, signed: bool) -> Format:
    half = 1 << (bits - 1)
    return Format("midrise", bits, 0.5 - half, half - 0.5, has_zero=False, lowest=-half, highest=half - 1)


def _ternary(bits: int, signed: bool) -> Format:
    return Format("integer", bits, -1, 1, lowest=-1, highest=1, per_byte=5)


def _binary(bits: int, signed: bool) -> Format:
    return Format("binary", bits, -1, 1, has_zero=False, lowest=0, highest=1)


def _power_of_two(bits: int, signed: bool) -> Format:
    """Zero and +-1, 1/2, 1/4, ...: one sign, 2^(bits - 1) - 1 exponents."""
    return Format("power_of_two", bits, -1, 1, highest=(1 << bits) - 2)


def _codebook(bits: int, signed: bool) -> Format:
    return Format("codebook", bits, -1, 1, has_zero=False, highest=(1 << bits) - 1, learned=True)


def _minifloat(exponent: int, mantissa: int, high: float) -> Callable[[int, bool], Format]:
    def make(bits: int, signed: bool) -> Format:
        codes = (1 << bits) - 1
        return Format("minifloat", bits, -high, high, highest=codes, exponent=exponent, mantissa=mantissa)

    return make


@dataclass(frozen=True)
class Form:
    """Name of a family: its ``bits``, whether it can be ``signed`` and unsigned, and what makes a format of it."""

    bits: range
    signs: tuple[bool, ...]
    make: Callable[[int, bool], Format]


SIGNED, BOTH = (True,), (True, False)
FORMS: dict[str, Form] = {
    "int": Form(range(1, 9), BOTH, _integer),  # signed: narrow, -127..127 at 8 bits
    "full": Form(range(2, 9), SIGNED, _full),  # two's complement, -128..127
    "midrise": Form(range(1, 9), SIGNED, _midrise),  # +-1/2, +-3/2, ...
    "ternary": Form(range(2, 3), SIGNED, _ternary),
    "binary": Form(range(1, 2), SIGNED, _binary),
    "e2m1": Form(range(4, 5), SIGNED, _minifloat(2, 1, 6.0)),
    "e2m3": Form(range(6, 7), SIGNED, _minifloat(2, 3, 7.5)),
    "e3m2": Form(range(6, 7), SIGNED, _minifloat(3, 2, 28.0)),
    "e4m3": Form(range(8, 9), SIGNED, _minifloat(4, 3, 448.0)),
    "e5m2": Form(range(8, 9), SIGNED, _minifloat(5, 2, 57344.0)),
    "pow2": Form(range(2, 9), SIGNED, _power_of_two),
    "codebook": Form(range(1, 9), SIGNED, _codebook),
}


def format_of(form: str, bits: int, signed: bool) -> Format:
    """The format of this name, bits and sign. Raises :class:`Refused` where there is none."""
    if form not in FORMS:
        raise unknown(form, "number format", FORMS)
    entry = FORMS[form]
    if bits not in entry.bits:
        some = f"{entry.bits[0]} bits" if len(entry.bits) == 1 else f"{entry.bits[0]} to {entry.bits[-1]} bits"
        raise Refused(f"number format {form} has {some}, not {bits}", "wrong-bits")
    if signed not in entry.signs:
        raise Refused(f"number format {form} is signed", "wrong-sign", "leave 'unsigned' out, or use int")
    if form == "int" and signed and bits == 1:
        hint = "use binary (levels -1 and 1), midrise, or 2 bits"
        raise Refused("signed integers of 1 bit have only the level 0", "wrong-bits", hint)
    return entry.make(bits, signed)
