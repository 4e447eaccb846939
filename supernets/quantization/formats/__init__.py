"""Number formats: the arithmetic of each kind that ``spaces.precision`` knows as data."""

from collections.abc import Callable

from torch import Tensor

from spaces.precision import Format
from supernets.quantization.formats.base import Number
from supernets.quantization.formats.binary import Binary
from supernets.quantization.formats.integers import Integers, MidRise
from supernets.quantization.formats.levels import Levels, fitted, powers_of_two, uniform
from supernets.quantization.formats.minifloat import Minifloat

KINDS: dict[str, Callable[[Format], Number]] = {
    "integer": lambda f: Integers(f.low, f.high),
    "midrise": lambda f: MidRise(1 << (f.bits - 1)),
    "binary": lambda f: Binary(),
    "minifloat": lambda f: Minifloat(f.exponent, f.mantissa, f.high),
    "power_of_two": lambda f: Levels(powers_of_two(f.bits)),
    "codebook": lambda f: Levels(uniform(f.bits)),
}


def number(form: Format, levels: Tensor | None = None) -> Number:
    """The arithmetic of a format, over these learned ``levels`` (2^bits,), ascending, if it has any."""
    return KINDS[form.kind](form) if levels is None else Levels(levels)


__all__ = [
    "KINDS",
    "Binary",
    "Integers",
    "Levels",
    "MidRise",
    "Minifloat",
    "Number",
    "fitted",
    "number",
    "powers_of_two",
    "uniform",
]
