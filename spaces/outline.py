"""The layers of a space as pure data.

A record's field is a constant or the name of a choice. Shapes, tensor formats and neighbours are derived in one place,
:mod:`spaces.resolve`, for one architecture and for many.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from spaces import precision
from spaces.choice import Value
from spaces.layers import INPUT, WEIGHTED, Bools, Chosen, Columns, Ints, Layer, Record
from spaces.resolve import resolve

if TYPE_CHECKING:
    from spaces.architecture import Architecture
    from spaces.batch import Batch


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
        columns = resolve(self.records, self.input_shape, 1, lambda name: _of_architecture(architecture, name))
        paths = [record.path for record in self.records]
        return tuple(_layer(c, paths) for c in columns if c.exists[0])

    def table(self, batch: Batch) -> tuple[Columns, ...]:
        """Every record resolved over a batch, in order."""
        return resolve(self.records, self.input_shape, len(batch), lambda name: _of_batch(batch, name))


def _of_architecture(architecture: Architecture, name: str) -> tuple[Bools, list[Value], Ints]:
    present = name in architecture
    return np.array([present]), [architecture[name] if present else 0], np.zeros(1, np.int64)


def _of_batch(batch: Batch, name: str) -> tuple[Bools, list[Value], Ints]:
    column = batch.space.column[name]
    codes = batch.codes[:, column].astype(np.int64)
    return codes >= 0, list(batch.space.choices[column].values), np.maximum(codes, 0)


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


__all__ = ["INPUT", "WEIGHTED", "Chosen", "Columns", "Layer", "Outline", "Record"]
