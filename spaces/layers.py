"""One layer as data: before its choices are made, after, and over many architectures at once."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from spaces.choice import When
from spaces.precision import Precision

Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]
INPUT = "input"
WEIGHTED = frozenset({"conv", "linear"})


@dataclass(frozen=True)
class Chosen:
    """A field whose value is that of the choice ``name``."""

    name: str


@dataclass(frozen=True)
class Record:
    """One layer of the outline.

    ``inputs`` are paths of earlier records or ``"input"``; where a record is absent, whoever reads it reads its first
    input instead. ``out`` is the number of output channels (``None``: as the input); ``norm`` a batch norm after it.
    """

    path: str
    kind: str  # conv | add | pool | linear
    inputs: tuple[str, ...]
    out: int | Chosen | None = None
    kernel: int | Chosen = 1
    stride: int = 1
    norm: bool = False
    activation: str = "none"
    precision: str | Chosen = "float"
    exists_when: When = ()


@dataclass(frozen=True)
class Layer:
    """A resolved layer of one architecture. ``h``, ``w`` are those of its input; ``inputs`` name present layers.

    ``runs8`` the kernel computes with integers; ``in8``, ``out8`` its (first) input, its output are stored in 8 bits.
    """

    path: str
    kind: str
    inputs: tuple[str, ...]
    c_in: int
    c_out: int
    kernel: int
    stride: int
    h: int
    w: int
    norm: bool
    activation: str
    precision: Precision
    runs8: bool
    in8: bool
    out8: bool

    @property
    def out_h(self) -> int:
        """Output height: 1 after a global pool, else ceil(h / stride)."""
        return 1 if self.kind == "pool" else -(-self.h // self.stride)

    @property
    def out_w(self) -> int:
        """Output width, as :attr:`out_h`."""
        return 1 if self.kind == "pool" else -(-self.w // self.stride)


@dataclass(frozen=True)
class Columns:
    """One record over n architectures: every field (n,); ``inputs`` (n, number of inputs), -1 the network's input."""

    record: Record
    exists: Bools
    inputs: Ints
    c_in: Ints
    c_out: Ints
    kernel: Ints
    h: Ints
    w: Ints
    weight_bits: Ints  # 0 = float
    input_bits: Ints
    runs8: Bools
    in8: Bools
    out8: Bools
