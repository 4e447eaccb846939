"""A supernet: all architectures of a space in one set of weights."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import replace

import torch
from torch import Tensor, nn

from spaces import Architecture, Layer, QuantSpec, Space
from spaces.layers import WEIGHTED, Record
from spaces.precision import Precision
from supernets.elastic import (
    ELASTIC,
    ElasticEmbedding,
    ElasticLayer,
    ElasticLinear,
    ElasticWeighted,
    Mixture,
    Moments,
    Router,
    SignedBatchNorm,
    WrappedWeighted,
    located,
    owners,
)
from supernets.functions import ACTIVATIONS
from supernets.functions.operations import UnknownOperation, operation
from supernets.graph import SUM, Program, as_read, moved, plain, program, run
from supernets.quantization import (
    ACTIVATION,
    TOPS,
    activated,
    bias_steps,
    clipped_norms,
    norms,
    quantize_activated,
    quantize_activation,
    quantize_dynamic,
)
from supernets.quantization.kernels import EAGER, Kernels
from supernets.quantization.straight import Clip
from supernets.selection import Calibration, Records, Selection


class NotBuildable(ValueError):
    """A space that describes no network; the message says why."""


def check(space: Space) -> None:
    """Whether a supernet of this space can be built. Raises :class:`NotBuildable`."""
    if not space.outline.records:
        what = "it has no layers"
        raise NotBuildable(f"space {space.name} can be counted and drawn from, not trained: {what} [not-buildable]")
    for record in space.outline.records:
        if record.call is not None and record.kind in ("call", *WEIGHTED):
            try:
                operation(record.call.op)
            except UnknownOperation as error:
                raise NotBuildable(f"{record.path}: {error}") from None


class Supernet(nn.Module):
    """Network over the largest form of every layer; ``active`` makes it compute one subnet.

    Shapes: as :func:`supernets.graph.run` says. In ``train()`` mode norms and ranges use the statistics of the
    mini-batch; in ``eval()`` mode they need the subnet's :class:`Calibration`. ``entangled``: alternatives that differ
    in their kernels alone share weights (:mod:`supernets.elastic.entangled`). ``mixture``: layers have several weights,
    mixed by the architecture (:mod:`supernets.elastic.experts`).
    """

    def __init__(self, space: Space, seed: int, entangled: bool = False, mixture: Mixture | None = None) -> None:
        super().__init__()
        self.space = space
        self.outline = space.outline
        self.autocast: torch.dtype | None = None
        """What forward passes in ``train()`` compute in, where torch deems it safe; ``None``: what the weights are."""
        self._selection: Selection | None = None
        # Of the forward pass that is running: inputs in fewer bits than 8, and layers whose input is rounded already.
        self._narrow: dict[tuple[str, QuantSpec, torch.Size], Tensor] = {}
        self._rounded_before: set[str] = set()
        check(space)
        self._owners = owners(self.outline.records, space.extents) if entangled else {}
        self._owners |= _used_again(self.outline.records)
        self.elastic = nn.ModuleDict()
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            for record in self.outline.records:
                if record.kind in ELASTIC and record.path not in self._owners:
                    self.elastic[_module_name(record.path)] = self._largest(record)
            self.mixture = mixture
            self.router = None if mixture is None else self._mix(mixture)
        self._kernels = EAGER
        self.draws = torch.Generator()
        self.draws.manual_seed(seed)
        self._allow()

    def _mix(self, mixture: Mixture) -> Router:
        """Give every layer with a weight of its own more experts, drawn as the first; the router of them all."""
        rows, records = {}, {_module_name(record.path): record for record in self.outline.records}
        for name, module in self.elastic.items():
            if isinstance(module, ElasticWeighted) and "weight" in dict(module.named_parameters(recurse=False)):
                rows[name] = len(module.full)
                for _ in range(mixture.experts - 1):
                    other = self._largest(records[name])
                    assert isinstance(other, ElasticWeighted)
                    module.add_expert(other)
        return Router(len(self.space.feature_names), rows, mixture)

    def _allow(self) -> None:
        """Tell every layer what precisions it may have; entangled ones have those of all that share the weight."""
        found: dict[str, list[Precision]] = {}
        for path, precisions in self.space.precisions.items():
            found.setdefault(self._owners.get(path, path), []).extend(precisions)
        for path, every in found.items():
            self.weighted(path).allow(list(dict.fromkeys(every)), self.draws)

    @property
    def kernels(self) -> Kernels:
        """The passes over activations that training takes: as they are, or compiled."""
        return self._kernels

    @kernels.setter
    def kernels(self, kernels: Kernels) -> None:
        self._kernels = kernels
        for module in self.elastic.values():
            if isinstance(module, ElasticWeighted):
                module.input_quantizer.kernels = kernels

    def _largest(self, record: Record) -> ElasticLayer:
        most = self.space.extents[record.path]
        made = WrappedWeighted if record.call is not None and record.kind in WEIGHTED else ELASTIC[record.kind]
        if record.weight_of is None:
            return made(record, most)
        owner = self.layer(record.weight_of)
        if made is WrappedWeighted:
            return made(record, most, owner)
        assert isinstance(owner, ElasticEmbedding)
        return ElasticLinear(record, most, owner)

    def layers(self, architecture: Architecture) -> tuple[Layer, ...]:
        """The layers of a subnet, each with what it reads of its largest input. Raises ``ValueError`` if foreign."""
        present = self.outline.layers(self.space.batch([architecture])[0])
        return located(present, self.space.extents, self.outline.input_shape[0])

    @contextmanager
    def active(self, architecture: Architecture, calibration: Calibration | None = None) -> Iterator[None]:
        """Within it, the supernet computes this subnet. Raises ``ValueError`` for what is not in the space."""
        with self._selected(Selection(architecture, self._program(architecture), calibration)):
            yield

    def routing(self, architecture: Architecture) -> Mapping[str, Tensor]:
        """Path of each layer of the subnet -> shares of its experts; nothing for layers, or a supernet, without."""
        if self.router is None:
            return {}
        batch = self.space.batch([architecture])
        features = torch.from_numpy(self.space.encode(batch)[0])
        owners = {y.path: self._held_by(y.path) for y in self.outline.layers(batch[0])}
        owners = {path: name for path, name in owners.items() if name in self.router.heads}
        shares = self.router(features, owners.values())
        return {path: shares[name] for path, name in owners.items()}

    def _program(self, architecture: Architecture) -> Program:
        return program(self.layers(architecture), self.outline.resolution is not None)

    @contextmanager
    def _selected(self, selection: Selection) -> Iterator[None]:
        before, self._selection = self._selection, selection
        try:
            yield
        finally:
            self._selection = before

    @torch.no_grad()
    def calibrate(
        self, architecture: Architecture, batches: Iterable[Tensor | tuple[Tensor, ...]], passes: int = 1
    ) -> Calibration:
        """Statistics of a subnet over ``batches`` of inputs (b, ...), read one after the other, ``passes`` times.

        A network of several inputs takes tuples of them. The range of a tensor is the mean over batches of its smallest
        and of its largest value. Batch-norm moments are those of all batches together. In the first pass norms and
        ranges before a layer are those of each batch by itself; in further ones they are those of the pass before, as
        in evaluation. After one more pass than there are norms in a row, all moments are exactly those over the whole
        set, of integer layers too. Memory is that of one batch.

        Raises:
            ValueError: an architecture that is not in the space; no batches.
        """
        program, found = self._program(architecture), None
        for _ in range(passes):
            records, seen = Records(), 0
            with self._selected(Selection(architecture, program, found, records)):
                for x in batches:
                    self(*(x if isinstance(x, tuple) else (x,)))
                    seen += 1
            if not seen:
                raise ValueError("calibration needs batches, got none; several passes need some that can be read again")
            now = records.calibration(moved(program.layers))
            found = now if found is None else replace(found, moments=now.moments)
        assert found is not None, "at least one pass"
        return found

    def forward(self, *inputs: Tensor) -> Tensor:
        """Output of the active subnet. Raises ``RuntimeError`` if none is active, or it is evaluated uncalibrated."""
        if self._selection is None:
            raise RuntimeError("no subnet is active; use `with net.active(architecture):`")
        selection = self._selection
        needed = not self.training and selection.calibration is None and selection.records is None
        if needed and any(layer.norm or layer.in8 or layer.precision.input for layer in selection.program.layers):
            raise RuntimeError("this subnet is not calibrated; use `net.active(architecture, net.calibrate(...))`")
        self._narrow.clear()
        self._rounded_before.clear()
        lower = self.autocast if self.training else None
        cast = nullcontext() if lower is None else torch.autocast(inputs[0].device.type, lower)
        with self._selected(replace(selection, routing=self.routing(selection.architecture))), cast:
            y = run(selection.program, inputs, self._weighted, self._store, self._finish)
        self._narrow.clear()
        return y if lower is None else y.float()

    def _weighted(self, layer: Layer, x: Tensor) -> Tensor:
        """What the layer computes, up to its activation function; of a convolution, whose norm may be computed with
        what follows it, up to its norm."""
        assert self._selection is not None
        module = self.layer(layer.path)
        if not isinstance(module, ElasticWeighted):
            return module(x, layer)  # type: ignore[no-any-return]
        y = module.linear_part(self._read(module, layer, x), layer, self._selection.routing.get(layer.path))
        return y if layer.kind == "conv" else self._normalised(module, layer, y)

    def _read(self, module: ElasticWeighted, layer: Layer, x: Tensor) -> Tensor:
        """``x`` in as few bits as the layer takes, stored in 8; or as a layer that no integer kernel runs rounds it."""
        assert self._selection is not None
        spec, calibration = layer.precision.input, self._selection.calibration
        if spec is None or layer.path in self._rounded_before:
            return x
        if not layer.precision.integer:
            return self._rounded(module, layer, x, spec)
        if spec.bits == self._stored_as(layer.inputs[0]).bits:
            return x
        if calibration is not None:
            return quantize_activation(x, *calibration.input_grid(layer), spec)
        key = (layer.inputs[0], spec, x.shape)  # a second reader takes what the first one rounded
        if key not in self._narrow:
            self._narrow[key] = quantize_dynamic(x, spec, self._kernels)[0]
        return self._narrow[key]

    def _rounded(self, module: ElasticWeighted, layer: Layer, x: Tensor, spec: QuantSpec) -> Tensor:
        """``x`` on a grid of the layer's own: the calibration's where one is for all inputs, else that of the batch."""
        assert self._selection is not None
        quantizer, calibration, records = module.input_quantizer, self._selection.calibration, self._selection.records
        if calibration is not None and layer.path in calibration.inputs:
            return quantizer.on(x, calibration.inputs[layer.path], spec)
        grid = quantizer.grid(x, spec)
        if records is not None and spec.granularity == "tensor":
            records.add_grid(layer.path, grid, len(x))
        return quantizer.on(x, grid, spec, draws=self.draws)

    @torch.no_grad()
    def _bias_rounding(self, module: ElasticWeighted, layer: Layer, calibration: Calibration) -> Tensor | None:
        """(c_out,) what a bias in whole steps, as an integer kernel adds it, differs by from the folded bias."""
        assert self._selection is not None
        shares = self._selection.routing.get(layer.path)
        factor, bias = module.folded(layer, calibration.moments.get(layer.path), shares)
        if bias is None:
            return None
        scale, _ = calibration.input_grid(layer)
        step = module.codes(layer, shares).scale * factor * scale
        return (bias_steps(bias, step) * step - bias).to(bias.dtype)

    @property
    def _training(self) -> bool:
        """Whether statistics are those of the batch and nobody records them."""
        assert self._selection is not None
        return self._selection.calibration is None and self._selection.records is None

    def _stored_as(self, name: str) -> QuantSpec:
        """How a tensor is stored: in 8 bits, but in training at once in the fewer that all its readers take."""
        assert self._selection is not None
        return self._selection.program.narrow.get(name, ACTIVATION) if self._training else ACTIVATION

    def _finish(self, layer: Layer, y: Tensor) -> Tensor:
        """What readers see of what the layer computed: norm, sums in 8 bits, activation function, rounding."""
        assert self._selection is not None
        together = self._training and norms.fits(y, self._kernels) and _has_own_norm(layer)
        clip = self._clip(layer, y) if together else None
        if clip is not None:
            affine, passes = self.weighted(layer.path).affine(layer), clipped_norms.compiled(layer.activation)
            return clipped_norms.normed(y, *affine, layer.activation, clip, passes)
        after = self._after(layer) if together else None
        if after is not None:
            y = norms.normed(y, *self.weighted(layer.path).affine(layer), after, norms.compiled(after))
            if _simple(layer):
                return y
        else:
            y = self._normalised(self.weighted(layer.path), layer, y) if layer.kind == "conv" else y
            y = self._store(layer.path + SUM, y, "none") if layer.sums8 else y
        return as_read(self._selection.program, layer, y, self._store, self._activated)

    def _clip(self, layer: Layer, x: Tensor) -> Clip | None:
        """How the one reader of the layer's output rounds it by learned steps, which it need not then, or ``None``."""
        assert self._selection is not None
        reader = self._selection.program.alone.get(layer.path)
        if reader is None or layer.sums8 or not _simple(layer):
            return None
        spec = reader.precision.input
        assert spec is not None
        clip = self.weighted(reader.path).input_quantizer.clip(x, spec)
        self._rounded_before.update(() if clip is None else (reader.path,))
        return clip

    def _after(self, layer: Layer) -> norms.After | None:
        """What is computed together with the layer's norm; ``None`` if that would be nothing that makes it worth it."""
        assert self._selection is not None
        program, simple = self._selection.program, _simple(layer)
        kept = layer.path in program.kept
        if not (layer.sums8 or (simple and (kept or layer.path in program.rounded))):
            return None
        return norms.After(layer.activation, layer.sums8, self._stored_as(layer.path) if kept and simple else None)

    def _normalised(self, module: ElasticWeighted, layer: Layer, y: Tensor) -> Tensor:
        """After the layer's norm, if it has one, and with the bias that an integer kernel adds."""
        assert self._selection is not None
        calibration, records = self._selection.calibration, self._selection.records
        if module.norm is not None:
            moments = None if records is None else records.add_moments(layer.path, y)
            y = module.normalised(y, layer, calibration.moments[layer.path] if calibration else moments)
        if calibration is None or not layer.precision.integer:
            return y
        rounding = self._bias_rounding(module, layer, calibration)
        column = (-1, *[1] * (y.dim() - 2)) if layer.kind == "conv" else (-1,)
        return y if rounding is None else y + rounding.reshape(column)

    def _activated(self, layer: Layer, y: Tensor) -> Tensor:
        assert self._selection is not None
        known = layer.path in self._selection.program.rounded
        return activated(y, layer.activation, self._kernels) if known else plain(layer, y)

    def _store(self, name: str, x: Tensor, activation: str) -> Tensor:
        assert self._selection is not None
        spec = self._stored_as(name)
        if activation in TOPS and self._training:
            return quantize_activated(x, activation, spec, self._kernels)
        if activation != "none":
            x = ACTIVATIONS[activation](x)
        if self._selection.calibration is not None:
            return quantize_activation(x, *self._selection.calibration.grids[name])
        quantized, limits = quantize_dynamic(x, spec, self._kernels)
        if self._selection.records is not None:
            self._selection.records.add_range(name, limits, len(x))
        return quantized

    @property
    def calibration(self) -> Calibration:
        """Of the largest subnet of a wrapped model, all float: the statistics that the user's batch norms hold."""
        found = {r.path: self.weighted(r.path).norm for r in self.outline.records if r.norm and r.call is not None}
        held = {path: norm for path, norm in found.items() if isinstance(norm, SignedBatchNorm)}
        return Calibration({path: Moments(norm.running_mean, norm.running_var) for path, norm in held.items()}, {})

    def layer(self, path: str) -> ElasticLayer:
        """The elastic layer at this path of the outline."""
        module = self.elastic[self._held_by(path)]
        assert isinstance(module, ElasticLayer)
        return module

    def _held_by(self, path: str) -> str:
        """Name of the module that holds the weights of the layer at this path."""
        return _module_name(self._owners.get(path, path))

    def weighted(self, path: str) -> ElasticWeighted:
        """The elastic layer at this path, which has a precision."""
        module = self.layer(path)
        assert isinstance(module, ElasticWeighted)
        return module


def _used_again(records: Sequence[Record]) -> dict[str, str]:
    """Layers that a traced network uses more than once: path of each further use -> path of the first."""
    return {r.path: r.weight_of for r in records if r.call is not None and r.call.again and r.weight_of is not None}


def _simple(layer: Layer) -> bool:
    """Whether a norm can be computed together with the activation function after it."""
    return layer.activation == "none" or layer.activation in TOPS


def _has_own_norm(layer: Layer) -> bool:
    """Whether it is a convolution of ours with a batch norm."""
    return layer.kind == "conv" and layer.norm and layer.call is None


def _module_name(path: str) -> str:
    return path.replace(".", "/")  # torch allows no dot in the name of a module


def build(space: Space, seed: int = 0, entangled: bool = False, mixture: Mixture | None = None) -> Supernet:
    """A freshly initialised supernet; the same space and seed give the same weights.

    ``entangled``: 3x3 convolutions are the middle of 5x5 ones, where operations of one edge differ in nothing else.
    ``mixture``: layers have several weights, mixed by the architecture; the first are those that a supernet without it
    has. Raises :class:`NotBuildable` for a space without layers.
    """
    return Supernet(space, seed, entangled, mixture)
