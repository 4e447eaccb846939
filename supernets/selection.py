"""What is active in a supernet, and what evaluating a subnet needs besides the shared weights."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from torch import Tensor

from spaces import Architecture, Layer
from supernets.elastic import Moments
from supernets.graph import Program
from supernets.quantization import ACTIVATION, narrowed
from supernets.quantization.scales import Grid


@dataclass(frozen=True)
class Calibration:
    """What evaluation of one subnet needs besides the shared weights.

    ``moments`` per normalised layer; ``grids`` (scale, zero-point) per tensor that is stored in 8 bits; ``inputs`` the
    grid per layer that rounds what it reads for itself, where that is one grid for all inputs.
    """

    moments: dict[str, Moments]
    grids: dict[str, tuple[Tensor, Tensor]]
    inputs: dict[str, Grid] = field(default_factory=dict)

    def input_grid(self, layer: Layer) -> tuple[Tensor, Tensor]:
        """(scale, zero-point) of what an integer layer reads: of the tensor, or of the fewer bits that it takes."""
        assert layer.precision.input is not None
        return narrowed(*self.grids[layer.inputs[0]], ACTIVATION, layer.precision.input)


@dataclass
class Records:
    """Statistics of each batch, gathered while a subnet is calibrated."""

    moments: dict[str, list[Moments]] = field(default_factory=dict)
    ranges: dict[str, list[Tensor]] = field(default_factory=dict)
    inputs: dict[str, list[Grid]] = field(default_factory=dict)


@dataclass(frozen=True)
class Selection:
    """What is active: the one object that the layers of a supernet go by.

    ``routing``: per layer that has experts, their shares in its weight (:mod:`supernets.elastic.experts`).
    """

    architecture: Architecture
    program: Program
    calibration: Calibration | None = None
    records: Records | None = None
    routing: Mapping[str, Tensor] = field(default_factory=dict)
