"""A supernet: all architectures of a space in one set of weights."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import replace

import torch
from torch import Tensor, nn

from spaces import Architecture, Layer, Space
from spaces.layers import WEIGHTED, Record
from spaces.precision import Precision
from supernets.computing import Pass
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
from supernets.functions.operations import UnknownOperation, operation
from supernets.graph import Program, moved, program
from supernets.quantization.kernels import EAGER, Kernels
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
    def active(
        self, architecture: Architecture, calibration: Calibration | None = None, fixed: bool = False
    ) -> Iterator[None]:
        """Within it, the supernet computes this subnet. Raises ``ValueError`` for what is not in the space.

        ``fixed``: no weight will be changed within, nor gradients be wanted, so that weights are rounded once.
        """
        kept: dict[tuple[str, str], Tensor | None] | None = {} if fixed else None
        with self._selected(Selection(architecture, self._program(architecture), calibration, kept=kept)):
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
        selection = self._active()
        needed = not self.training and selection.calibration is None and selection.records is None
        if needed and any(layer.norm or layer.in8 or layer.precision.input for layer in selection.program.layers):
            raise RuntimeError("this subnet is not calibrated; use `net.active(architecture, net.calibrate(...))`")
        lower = self.autocast if self.training else None
        cast = nullcontext() if lower is None else torch.autocast(inputs[0].device.type, lower)
        with cast:
            y = Pass(self, selection).run(inputs)
        return y if lower is None else y.float()

    def computed(self, layer: Layer, x: Tensor) -> Tensor:
        """What one layer of the active subnet makes of its input ``x``, before its activation function."""
        return Pass(self, self._active()).computed(layer, x)

    def _active(self) -> Selection:
        if self._selection is None:
            raise RuntimeError("no subnet is active; use `with net.active(architecture):`")
        return replace(self._selection, routing=self.routing(self._selection.architecture))

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


def _module_name(path: str) -> str:
    return path.replace(".", "/")  # torch allows no dot in the name of a module


def build(space: Space, seed: int = 0, entangled: bool = False, mixture: Mixture | None = None) -> Supernet:
    """A freshly initialised supernet; the same space and seed give the same weights.

    ``entangled``: 3x3 convolutions are the middle of 5x5 ones, where operations of one edge differ in nothing else.
    ``mixture``: layers have several weights, mixed by the architecture; the first are those that a supernet without it
    has. Raises :class:`NotBuildable` for a space without layers.
    """
    return Supernet(space, seed, entangled, mixture)
