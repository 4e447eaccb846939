"""The layers of a space as pure data, and their one resolution into shapes, formats and neighbours.

A record's field is a constant or the name of a choice. Resolution is vectorised over architectures; nothing else in
the platform derives a shape, a tensor format or a neighbour a second time.

Tensor formats follow one rule. A tensor is stored in 8 bits if a consumer with weights wants its input in 8 bits, or if
its producer is an integer kernel (which can only write integers); everyone reads the stored value. A layer without
weights (add, pool) runs in 8 bits if all its inputs are stored so and a consumer wants its output so.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from spaces import precision
from spaces.choice import Condition, Value, same

if TYPE_CHECKING:
    from spaces.architecture import Architecture
    from spaces.batch import Batch

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
    exists_when: Condition | None = None


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
    precision: precision.Precision
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


@dataclass(frozen=True)
class Outline:
    """The graph of layers of a space. ``input_shape`` is (c, h, w)."""

    input_shape: tuple[int, int, int]
    classes: int
    records: tuple[Record, ...]

    def to_json(self) -> dict[str, Any]:
        """Plain data, for digests and for the run folder."""
        return asdict(self)

    @property
    def precision_choices(self) -> frozenset[str]:
        """Names of the choices that set a precision."""
        return frozenset(r.precision.name for r in self.records if isinstance(r.precision, Chosen))

    def layers(self, architecture: Architecture) -> tuple[Layer, ...]:
        """The present layers of one architecture, in order."""
        columns = resolve(self, 1, lambda name: _of_architecture(architecture, name))
        paths = [record.path for record in self.records]
        return tuple(_layer(c, paths) for c in columns if c.exists[0])

    def table(self, batch: Batch) -> tuple[Columns, ...]:
        """Every record resolved over a batch, in order."""
        return resolve(self, len(batch), lambda name: _of_batch(batch, name))


Read = Callable[[str], tuple[Bools, list[Value], Ints]]
"""Choice name -> (present (n,), its values (k,), position of the value (n,), any number where absent)."""


def _of_architecture(architecture: Architecture, name: str) -> tuple[Bools, list[Value], Ints]:
    present = name in architecture
    return np.array([present]), [architecture[name] if present else 0], np.zeros(1, np.int64)


def _of_batch(batch: Batch, name: str) -> tuple[Bools, list[Value], Ints]:
    column = batch.space.column[name]
    codes = batch.codes[:, column].astype(np.int64)
    return codes >= 0, list(batch.space.choices[column].values), np.maximum(codes, 0)


def _field(field: int | Chosen, n: int, read: Read) -> Ints:
    if isinstance(field, int):
        return np.full(n, field, np.int64)
    present, values, positions = read(field.name)
    return np.where(present, np.array([int(v) for v in values], np.int64)[positions], 0)


def _bits(field: str | Chosen, n: int, read: Read) -> tuple[Ints, Ints]:
    if isinstance(field, str):
        present, values, positions = np.ones(n, np.bool_), [field], np.zeros(n, np.int64)
    else:
        present, values, positions = read(field.name)  # type: ignore[assignment]
    pairs = [precision.parse(str(v)) if present.any() else precision.FLOAT for v in values]
    weight = np.array([p.weight.bits if p.weight else 0 for p in pairs], np.int64)[positions]
    inputs = np.array([p.input.bits if p.input else 0 for p in pairs], np.int64)[positions]
    return np.where(present, weight, 0), np.where(present, inputs, 0)


def _exists(condition: Condition | None, n: int, read: Read) -> Bools:
    if condition is None:
        return np.ones(n, np.bool_)
    present, values, positions = read(condition.name)
    holds = np.array([any(same(v, wanted) for wanted in condition.values) for v in values])
    kept: Bools = present & holds[positions]
    return kept


def resolve(outline: Outline, n: int, read: Read) -> tuple[Columns, ...]:
    """Resolve all records over n architectures whose choices ``read`` gives: first shapes forward, then formats."""
    at = {record.path: i for i, record in enumerate(outline.records)}
    c, h, w = outline.input_shape
    # What a reader of record i sees, its first input standing in where it is absent; row 0 is the network's input.
    source = np.full((len(at) + 1, n), -1, np.int64)
    shape = np.zeros((len(at) + 1, 3, n), np.int64)
    shape[0] = np.array([c, h, w])[:, None]
    drafts: list[dict[str, Any]] = []
    for i, r in enumerate(outline.records):
        exists = _exists(r.exists_when, n, read)
        rows = [0 if name == INPUT else at[name] + 1 for name in r.inputs]
        c_in, h_in, w_in = shape[rows[0]]
        c_out = c_in if r.out is None else _field(r.out, n, read)
        weight_bits, input_bits = _bits(r.precision, n, read)
        drafts.append({
            "record": r, "exists": exists, "inputs": source[rows].T, "c_in": c_in, "c_out": c_out,
            "kernel": _field(r.kernel, n, read), "h": h_in, "w": w_in,
            "weight_bits": weight_bits * exists, "input_bits": input_bits * exists,
        })  # fmt: skip
        whole = r.kind == "pool"
        out = [
            c_out,
            np.ones_like(h_in) if whole else -(-h_in // r.stride),
            np.ones_like(w_in) if whole else -(-w_in // r.stride),
        ]
        shape[i + 1] = np.where(exists, np.stack(out), shape[rows[0]])
        source[i + 1] = np.where(exists, i, source[rows[0]])
    return _formats(drafts, n)


def _formats(drafts: list[dict[str, Any]], n: int) -> tuple[Columns, ...]:
    every = np.arange(n)
    wanted = np.zeros((len(drafts) + 1, n), np.bool_)  # row -1, the last, is the network's input
    read_by_any = np.zeros_like(wanted)
    for d in drafts:
        for column in d["inputs"].T:
            rows = every[d["exists"]]
            read_by_any[column[rows], rows] = True
            quantized = rows[d["weight_bits"][rows] > 0]
            wanted[column[quantized], quantized] = True
    stored = wanted.copy()
    result = []
    for i, d in enumerate(drafts):
        inputs8 = np.stack([stored[column, every] for column in d["inputs"].T])
        if d["record"].kind in WEIGHTED:
            runs8 = d["weight_bits"] > 0
            stored[i] |= runs8 & read_by_any[i]
        else:
            runs8 = d["exists"] & inputs8.all(axis=0) & wanted[i]
        result.append(Columns(**d, runs8=runs8, in8=inputs8[0], out8=stored[i] & d["exists"]))
    return tuple(result)


def _layer(c: Columns, paths: list[str]) -> Layer:
    bits = int(c.weight_bits[0]), int(c.input_bits[0])
    return Layer(
        path=c.record.path,
        kind=c.record.kind,
        inputs=tuple(INPUT if i < 0 else paths[i] for i in c.inputs[0].tolist()),
        c_in=int(c.c_in[0]),
        c_out=int(c.c_out[0]),
        kernel=int(c.kernel[0]),
        stride=c.record.stride,
        h=int(c.h[0]),
        w=int(c.w[0]),
        norm=c.record.norm,
        activation=c.record.activation,
        precision=precision.parse(f"w{bits[0]}a{bits[1]}") if bits[0] else precision.FLOAT,
        runs8=bool(c.runs8[0]),
        in8=bool(c.in8[0]),
        out8=bool(c.out8[0]),
    )
