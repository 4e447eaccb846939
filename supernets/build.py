"""A supernet: all architectures of a space in one set of weights."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from spaces import Architecture, Layer, Space
from spaces.layers import Split
from spaces.outline import WEIGHTED, Chosen, Record
from supernets.elastic import ElasticConv, ElasticLinear, Moments, moments_of, pooled
from supernets.graph import run
from supernets.quantization import (
    ACTIVATION,
    activation_grid,
    bias_steps,
    quantize_activation,
    quantize_dynamic,
    weight_scale,
)


@dataclass(frozen=True)
class Calibration:
    """What evaluation of one subnet needs besides the shared weights.

    ``moments`` per normalised layer; ``grids`` (scale, zero-point) per tensor that is stored in 8 bits.
    """

    moments: dict[str, Moments]
    grids: dict[str, tuple[Tensor, Tensor]]


@dataclass
class _Records:
    """Statistics of each batch, gathered while a subnet is calibrated."""

    moments: dict[str, list[Moments]] = field(default_factory=dict)
    ranges: dict[str, list[Tensor]] = field(default_factory=dict)


@dataclass(frozen=True)
class Selection:
    """What is active: the one object that the layers of a supernet go by."""

    architecture: Architecture
    layers: tuple[Layer, ...]
    calibration: Calibration | None = None
    records: _Records | None = None


class NotBuildable(ValueError):
    """A space with layers that have no elastic form; the message names the first."""


def check(space: Space) -> None:
    """Whether a supernet of this space can be built. Raises :class:`NotBuildable`."""
    if unknown := [r for r in space.outline.records if not _known(r)]:
        first = unknown[0]
        what = f"layer {first.path} is a {first.kind}" + (" of this form" if first.kind in _KINDS else "")
        raise NotBuildable(f"space {space.name} can be counted and drawn from, not yet trained: {what} [not-buildable]")
    if space.outline.resolution is not None or not space.outline.records:
        what = "it has no layers" if not space.outline.records else "its resolution is chosen"
        raise NotBuildable(f"space {space.name} can be counted and drawn from, not yet trained: {what} [not-buildable]")


_KINDS = ("conv", "linear", "add", "pool")


def _known(r: Record) -> bool:
    if isinstance(r.precision, Split):
        return False
    plain = (r.groups, r.dilation, r.padding, r.bias) == (1, 1, None, True) and not isinstance(r.stride, Chosen)
    return r.kind in _KINDS and plain and r.activation in ("none", "relu")


class Supernet(nn.Module):
    """Network over the largest form of every layer; ``active`` makes it compute one subnet.

    Shapes: ``x`` (b, c, h, w) to logits (b, classes). In ``train()`` mode norms and ranges use the statistics of the
    mini-batch; in ``eval()`` mode they need the subnet's :class:`Calibration`.
    """

    def __init__(self, space: Space, seed: int) -> None:
        super().__init__()
        self.space = space
        self.outline = space.outline
        self._selection: Selection | None = None
        check(space)
        largest: dict[str, tuple[int, int, int]] = {}
        # Shapes are linear in single choices, so the largest value of every choice gives every layer its largest form.
        for layer in self.outline.layers(space.largest):
            largest[layer.path] = (layer.c_in, layer.c_out, layer.kernel)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self.elastic = nn.ModuleDict(
                {
                    _module_name(r.path): (
                        ElasticConv(*largest[r.path], r.norm)
                        if r.kind == "conv"
                        else ElasticLinear(*largest[r.path][:2])
                    )
                    for r in self.outline.records
                    if r.kind in WEIGHTED
                }
            )

    @contextmanager
    def active(self, architecture: Architecture, calibration: Calibration | None = None) -> Iterator[None]:
        """Within it, the supernet computes this subnet. Raises ``ValueError`` for what is not in the space."""
        architecture = self.space.architecture(architecture)
        with self._selected(Selection(architecture, self.outline.layers(architecture), calibration)):
            yield

    @contextmanager
    def _selected(self, selection: Selection) -> Iterator[None]:
        before, self._selection = self._selection, selection
        try:
            yield
        finally:
            self._selection = before

    @torch.no_grad()
    def calibrate(self, architecture: Architecture, images: Sequence[Tensor]) -> Calibration:
        """Statistics of a subnet over ``images``, equally large batches (b, c, h, w), each seen once.

        Batch-norm moments are those of all batches together; the range of a tensor is the mean over batches of its
        smallest and of its largest value. Memory is that of one batch.

        Raises:
            ValueError: an architecture that is not in the space; no batches, or batches of different sizes.
        """
        if len({len(x) for x in images}) != 1:
            raise ValueError(f"calibration needs equally large batches, got sizes {[len(x) for x in images]}")
        architecture = self.space.architecture(architecture)
        records = _Records()
        selection = Selection(architecture, self.outline.layers(architecture), records=records)
        with self._selected(selection):
            for x in images:
                self(x)
        grids = {}
        for name, ranges in records.ranges.items():
            low, high = torch.stack(ranges).mean(dim=0)
            grids[name] = activation_grid(low, high, ACTIVATION)
        return Calibration({path: pooled(parts) for path, parts in records.moments.items()}, grids)

    def forward(self, x: Tensor) -> Tensor:
        """Logits of the active subnet. Raises ``RuntimeError`` if none is active, or it is evaluated uncalibrated."""
        if self._selection is None:
            raise RuntimeError("no subnet is active; use `with net.active(architecture):`")
        selection = self._selection
        if not self.training and selection.calibration is None and selection.records is None:
            raise RuntimeError("this subnet is not calibrated; use `net.active(architecture, net.calibrate(...))`")
        return run(selection.layers, x, self._weighted, self._store)

    def _weighted(self, layer: Layer, x: Tensor) -> Tensor:
        assert self._selection is not None
        calibration, records = self._selection.calibration, self._selection.records
        module = self.layer(layer.path)
        if isinstance(module, ElasticLinear):
            y = module(x, layer)
        else:
            y = module.convolve(x, layer)
            if module.norm is not None:
                if records is not None:
                    records.moments.setdefault(layer.path, []).append(moments_of(y))
                y = module.norm(y, calibration.moments[layer.path] if calibration else None)
        if calibration is None or layer.precision.weight is None:
            return y  # type: ignore[no-any-return]
        return y + self._bias_rounding(layer, calibration).reshape(-1, *[1] * (y.dim() - 2))  # type: ignore[no-any-return]

    @torch.no_grad()
    def _bias_rounding(self, layer: Layer, calibration: Calibration) -> Tensor:
        """(c_out,) what a bias in whole steps, as an integer kernel adds it, differs by from the folded bias."""
        assert layer.precision.weight is not None
        module = self.layer(layer.path)
        factor, bias = module.folded(layer, calibration.moments.get(layer.path))
        scale, _ = calibration.grids[layer.inputs[0]]
        step = weight_scale(module.active(layer), layer.precision.weight) * factor * scale
        return (bias_steps(bias, step) * step - bias).to(bias.dtype)

    def _store(self, name: str, x: Tensor) -> Tensor:
        assert self._selection is not None
        if self._selection.calibration is not None:
            return quantize_activation(x, *self._selection.calibration.grids[name])
        quantized, limits = quantize_dynamic(x)
        if self._selection.records is not None:
            self._selection.records.ranges.setdefault(name, []).append(limits)
        return quantized

    def layer(self, path: str) -> ElasticConv | ElasticLinear:
        """The elastic layer at this path of the outline."""
        module = self.elastic[_module_name(path)]
        assert isinstance(module, ElasticConv | ElasticLinear)
        return module


def _module_name(path: str) -> str:
    return path.replace(".", "/")  # torch allows no dot in the name of a module


def build(space: Space, seed: int = 0) -> Supernet:
    """A freshly initialised supernet; the same space and seed give the same weights."""
    return Supernet(space, seed)
