"""What is active in a supernet, and what evaluating a subnet needs besides the shared weights."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import torch
from torch import Tensor

from spaces import Architecture, Layer
from supernets.elastic import Moments, Pool
from supernets.graph import Program
from supernets.quantization import ACTIVATION, activation_grid, narrowed
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


class Mean:
    """Running mean of tensors of one shape, summed in double precision."""

    def __init__(self) -> None:
        self._total: Tensor | float = 0.0
        self._weight = 0

    def add(self, x: Tensor, weight: int) -> None:
        """Take one more, which counts ``weight`` times."""
        self._total = self._total + x.double() * weight
        self._weight += weight
        self._dtype = x.dtype

    @property
    def value(self) -> Tensor:
        """In the precision of what was added."""
        assert isinstance(self._total, Tensor)
        return (self._total / self._weight).to(self._dtype)


@dataclass
class Records:
    """Statistics of all batches so far, gathered while a subnet is calibrated; memory does not grow with them."""

    moments: dict[str, Pool] = field(default_factory=dict)
    ranges: dict[str, Mean] = field(default_factory=dict)
    inputs: dict[str, Mean] = field(default_factory=dict)

    def add_moments(self, path: str, y: Tensor) -> Moments:
        """Of the outputs ``y`` (b, c, ...) of a layer before its norm; returns those of this batch."""
        return self.moments.setdefault(path, Pool()).add(y)

    def add_range(self, name: str, limits: Tensor, count: int) -> None:
        """(2,) smallest and largest value of a tensor over a batch of ``count`` examples."""
        self.ranges.setdefault(name, Mean()).add(limits, count)

    def add_grid(self, path: str, grid: Grid, count: int) -> None:
        """Of a layer that rounds what it reads for itself; what is averaged are steps and offsets."""
        scale, zero = grid
        parts = torch.stack([scale] if zero is None else [scale, zero * scale])
        self.inputs.setdefault(path, Mean()).add(parts, count)

    def calibration(self, moved: Mapping[str, str]) -> Calibration:
        """What they say. ``moved``: tensors that hold values of another one, whose grid they have."""
        limits = {name: mean.value for name, mean in self.ranges.items()}
        grids = {name: activation_grid(low, high, ACTIVATION) for name, (low, high) in limits.items()}
        grids |= {name: grids[source] for name, source in moved.items() if name in grids and source in grids}
        inputs: dict[str, Grid] = {}
        for path, mean in self.inputs.items():
            step, *offset = mean.value
            inputs[path] = step, offset[0] / step if offset else None
        return Calibration({path: pool.moments for path, pool in self.moments.items()}, grids, inputs)


@dataclass(frozen=True)
class Selection:
    """What is active: the one object that the layers of a supernet go by.

    With ``records`` the statistics of the batches are gathered; they serve unless there is a ``calibration``.
    ``routing``: per layer that has experts, their shares in its weight (:mod:`supernets.elastic.experts`).
    ``kept``: what its weights were rounded to, where they do not change from one pass to the next.
    """

    architecture: Architecture
    program: Program
    calibration: Calibration | None = None
    records: Records | None = None
    routing: Mapping[str, Tensor] = field(default_factory=dict)
    kept: dict[tuple[str, str], Tensor | None] | None = None
