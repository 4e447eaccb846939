"""In which format a device's kernels read the weights of a layer, as keys of latency tables name it."""

from __future__ import annotations

import re
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from spaces import QuantSpec
from spaces.layers import Columns
from spaces.precision import Precision, in_blocks, parse

FLOAT = "f32"
INTEGERS = frozenset(f"w{bits}c" for bits in range(1, 9))


class WeightFormats:
    """Formats of a ``menu``: precision -> precision executed. ``names``: of each number that :meth:`of` gives.

    Integers are ``w8c``: bits, whatever the layer reads; others say theirs, such as ``e4m3`` and ``w4g32``. A precision
    that is not on the menu computes in floats, but an integer one counts by the bits of its weight.
    """

    def __init__(self, menu: Mapping[str, str]) -> None:
        self._bits: dict[int, str] = {}
        self._others: dict[str, str] = {}
        for name, executed in menu.items():
            precision, kernel = parse(name), parse(executed)
            if precision.weight is None or kernel.weight is None:
                continue
            if precision.integer:
                self._bits[precision.weight.bits] = f"w{kernel.weight.bits}c"
            else:
                self._others[precision.kernel] = _name(kernel.weight) + ("a8" if precision.blockwise else "")
        self.names = tuple(dict.fromkeys([FLOAT, *self._bits.values(), *self._others.values()]))

    def of(self, c: Columns) -> NDArray[np.int64]:
        """(n,) the number of the format in ``names``, 0 of floats and of layers without weights."""
        numbers = np.array([self.names.index(self._format(p)) for p in c.precisions], np.int64)
        found: NDArray[np.int64] = numbers[c.precision] * c.exists
        return found

    def _format(self, precision: Precision) -> str:
        if precision.integer and precision.weight is not None:
            return self._bits[precision.weight.bits]
        return self._others.get(precision.kernel, FLOAT)


def stored_bytes(name: str, weights: int) -> int:
    """Of so many weights in a format, without scales."""
    bits = 32 if name == FLOAT else 8 if name == "e4m3" else int(name[1])
    return weights * bits // 8


def _name(spec: QuantSpec) -> str:
    if spec.form != "int":
        return spec.form
    return f"w{spec.bits}g{spec.group}"


def precision_of(name: str) -> Precision:
    """Of a layer alone whose weights are in this format."""
    if match := re.fullmatch(r"w([248])g([0-9]+)a8", name):
        return in_blocks(*map(int, match.groups()))
    return parse("w8a8") if name in INTEGERS else parse("float")
