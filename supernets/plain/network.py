"""Standalone networks: what a subnet is once it has left the supernet."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from spaces import INPUT, Architecture, Layer, Space
from spaces.outline import Takes
from supernets.functions import ACTIVATIONS
from supernets.graph import program, run, stored8
from supernets.plain.fresh import FRESH, fresh
from supernets.plain.quantized import Grid


class Network(nn.Module):
    """A plain network: torch's own layers, a few small blocks, and the :class:`Grid` of each 8-bit tensor.

    Shapes: as :func:`supernets.graph.run` says. It shares no storage with the supernet it came from. ``input_shape``
    is (c, h, w); with ``resized`` a picture of another size is brought to it. ``takes``: see :class:`spaces.Outline`.
    """

    def __init__(
        self,
        layers: Sequence[Layer],
        modules: Mapping[str, nn.Module],
        grids: Mapping[str, Grid],
        input_shape: tuple[int, int, int],
        resized: bool = False,
        takes: Takes = (),
    ) -> None:
        super().__init__()
        self.layers = tuple(layers)
        self.input_shape = input_shape
        self.takes = takes
        self._program = program(self.layers, resized)
        self.weighted = nn.ModuleDict({path.replace(".", "/"): module for path, module in modules.items()})
        self.grids = nn.ModuleDict({name.replace(".", "/"): grid for name, grid in grids.items()})

    def forward(self, *inputs: Tensor, seen: Callable[[str, Any], object] | None = None) -> Tensor:
        """Logits, or a picture. ``seen`` is called with each layer's path and output."""
        return run(self._program, inputs, lambda layer, y: self.module(layer.path)(y), self._store, seen=seen)

    def _store(self, name: str, y: Tensor, activation: str) -> Tensor:
        grid: Tensor = self.grid(name)(y if activation == "none" else ACTIVATIONS[activation](y))
        return grid

    @property
    def paths(self) -> frozenset[str]:
        """Of the layers with parameters."""
        return frozenset(name.replace("/", ".") for name in self.weighted)

    def module(self, path: str) -> nn.Module:
        """The layer with parameters at this path."""
        return self.weighted[path.replace(".", "/")]

    def replace(self, path: str, module: nn.Module) -> None:
        """Let ``module`` compute the layer with parameters at this path."""
        self.weighted[path.replace(".", "/")] = module

    def grid(self, name: str) -> Grid:
        """The grid of the tensor ``"input"`` or of the output of the layer at this path."""
        grid = self.grids[name.replace(".", "/")]
        assert isinstance(grid, Grid)
        return grid

    def __repr__(self) -> str:
        """One line per layer: its path, what it is, what it reads."""
        lines = [f"  {y.path}: {self._shown(y)} <- {', '.join(y.inputs)}" for y in self.layers]
        return "\n".join([f"Network(input {'x'.join(map(str, self.input_shape))}", *lines, ")"])

    def _shown(self, y: Layer) -> str:
        what = repr(self.module(y.path)).replace("\n", "") if y.kind in FRESH else y.kind
        if y.kind == "call" and y.call is not None:
            what = y.call.call.op
        if y.kind == "rotary":
            what += f"({y.heads} heads)"
        if y.kind == "attention":
            shared = f", {y.kv_heads} of keys and values" if y.kv_heads else ""
            what += f"({y.heads} heads{shared}{', causal' if y.causal else ''})"
        return what if y.activation in ("none", what) else f"{what} {y.activation}"


def fresh_network(space: Space, architecture: Architecture, seed: int = 0, folded: bool = True) -> Network:
    """A plain network of this architecture as torch starts it; the same seed gives the same weights.

    ``folded``: as exported, without batch norms; else each stands after its convolution, to be trained. A state dict of
    an extracted network of the same architecture loads into it.

    Raises:
        ValueError: an architecture that is not in the space.
    """
    layers = space.outline.layers(space.architecture(architecture))
    modules: dict[str, nn.Module] = {}
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        for y in layers:
            if y.kind in FRESH:
                modules[y.path] = fresh(y, folded, modules)
    return network(space, layers, modules, {name: Grid(torch.ones(()), torch.zeros(())) for name in stored8(layers)})


def network(
    space: Space, layers: Sequence[Layer], modules: Mapping[str, nn.Module], grids: Mapping[str, Grid]
) -> Network:
    """A network of these layers of the space."""
    outline = space.outline
    shape = outline.input_shape
    if outline.resolution is not None:
        first = next(y for y in layers if y.inputs[0] == INPUT)
        shape = shape[0], first.h, first.w
    return Network(layers, modules, grids, shape, outline.resolution is not None, outline.takes)
