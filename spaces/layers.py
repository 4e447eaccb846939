"""One layer as data: before its choices are made, after, and over many architectures at once.

A tensor has ``c`` channels and ``h x w`` places. Of sequences ``h`` is the number of tokens, ``w`` is 1 and ``c`` the
features, so that a linear layer over tokens is a 1x1 convolution.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from spaces.axis import Axis, Ranges
from spaces.call import Call, Resolved
from spaces.choice import Value, When
from spaces.precision import Precision

Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]
INPUT = "input"
WEIGHTED = frozenset({"conv", "linear"})  # layers that have a precision
FUSED = frozenset({"none", "relu"})  # activation functions that an integer convolution takes along


@dataclass(frozen=True)
class Chosen:
    """A field whose value is that of the choice ``name``, or ``otherwise`` where the choice is absent."""

    name: str
    otherwise: Value | None = None


@dataclass(frozen=True)
class Position:
    """Where in ``values`` the value of the choice ``name`` stands: which input a ``select`` stands for.

    A value that is not among them counts as the first, and so does that of an absent choice.
    """

    name: str
    values: tuple[Value, ...]


@dataclass(frozen=True)
class Lookup:
    """The number that stands beside the value of the choice ``name``; 0 where the choice is absent."""

    name: str
    table: tuple[tuple[Value, int], ...]


@dataclass(frozen=True)
class Scaled:
    """``base`` times ``by`` over ``over``, rounded half up to a ``multiple``, at least one.

    ``base`` ``"in"``: the input channels.

    With ``multiple`` 8 and ``keep`` this is the rounding of MobileNets: never below 90 % of the product.
    """

    base: Field
    by: Field = 1
    multiple: int = 1
    keep: bool = False
    over: Field = 1


@dataclass(frozen=True)
class Split:
    """A precision of fields of its own: the bits of the weights and those of the inputs, and the words that names of
    the two would have besides; without them they are as in ``w8a8``."""

    weight: int | Chosen
    input: int | Chosen
    weight_words: tuple[str | Chosen, ...] = ()
    input_words: tuple[str | Chosen, ...] = ()

    @property
    def parts(self) -> tuple[int | str | Chosen, ...]:
        """Bits of both, words of the weights, words of the inputs."""
        return (self.weight, self.input, *self.weight_words, *self.input_words)


@dataclass(frozen=True)
class Joined:
    """The values of several fields, added."""

    parts: tuple[Field, ...]


LayerPrecision = str | Chosen | Split
Field = int | float | str | Chosen | Position | Lookup | Scaled | Joined | Axis
IN = "in"
"""As a field: the number of channels of the layer's first input."""


@dataclass(frozen=True)
class Record:
    """One layer of the outline; :mod:`spaces.shapes` says what each kind makes of its input.

    ``inputs`` are paths of earlier records or ``"input"``; where a record is absent, whoever reads it reads its first
    input instead. ``out`` is the number of output channels (``None``: as the input); ``norm`` a batch norm after it,
    which exports fold away. ``padding`` ``None`` keeps ceil(size / stride). ``heads`` are those of an attention's
    queries, ``kv_heads`` those of its keys and values, 0 for as many; ``rows`` the entries of an embedding, or the
    number of the input that a ``select`` stands for. A ``causal`` attention looks at no later token. ``weight_of`` is
    the path of the embedding whose weight a linear layer shares. A record of a traced network has a ``call``, which
    says its shapes.
    """

    path: str
    kind: str
    inputs: tuple[str, ...]
    out: Field | None = None
    kernel: Field = 1
    stride: Field = 1
    norm: bool = False
    activation: str | Chosen = "none"
    precision: LayerPrecision = "float"
    exists_when: When = ()
    groups: Field = 1
    dilation: int = 1
    padding: int | None = None
    heads: Field = 1
    kv_heads: Field = 0
    rows: Field = 0
    bias: bool = True
    causal: bool = False
    weight_of: str | None = None
    call: Call | None = None


@dataclass(frozen=True)
class Layer:
    """A resolved layer of one architecture. ``h``, ``w`` are those of its input; ``inputs`` name present layers.

    ``runs8`` the kernel computes with integers; ``in8``, ``out8`` its (first) input, its output are stored in 8 bits.
    ``channels`` says where the channels of its first input stand among those of the largest one: ranges (from, to), in
    order; ``None`` for the first ``c_in``. What the other fields mean :class:`Record` says.
    """

    path: str
    kind: str
    inputs: tuple[str, ...]
    c_in: int
    c_out: int
    kernel: int
    stride: int
    groups: int
    h: int
    w: int
    out_h: int
    out_w: int
    norm: bool
    activation: str
    precision: Precision
    runs8: bool
    in8: bool
    out8: bool
    heads: int = 1
    kv_heads: int = 0
    rows: int = 0
    dilation: int = 1
    padding: int | None = None
    bias: bool = True
    causal: bool = False
    weight_of: str | None = None
    channels: Ranges | None = None
    call: Resolved | None = None

    @property
    def sums8(self) -> bool:
        """Whether it stores its sums in 8 bits before its activation function is computed, with floats.

        An integer convolution gives 8 bits: without it, runtimes compute it with floats.
        """
        return self.kind == "conv" and self.runs8 and self.activation not in FUSED


@dataclass(frozen=True)
class Columns:
    """One record over n architectures: every field (n,); ``inputs`` (n, number of inputs), -1 the network's input.

    ``precision`` are positions in ``precisions``, which holds those that occur; so are ``activation`` in
    ``activations``.
    """

    record: Record
    exists: Bools
    inputs: Ints
    c_in: Ints
    c_out: Ints
    kernel: Ints
    stride: Ints
    groups: Ints
    heads: Ints
    kv_heads: Ints
    rows: Ints
    macs: Ints  # of a traced call
    activations: tuple[str, ...]
    activation: Ints
    h: Ints
    w: Ints
    out_h: Ints
    out_w: Ints
    precisions: tuple[Precision, ...]
    precision: Ints
    weight_bits: Ints  # 0 = float
    input_bits: Ints
    runs8: Bools
    in8: Bools
    out8: Bools
