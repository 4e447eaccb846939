"""Running the layers of an outline in order: the one interpreter of supernet and extracted network."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from spaces import INPUT, Layer, QuantSpec
from supernets.forms import CALLED
from supernets.functions import ACTIVATIONS, FUNCTIONS
from supernets.functions.operations import MOVES
from supernets.quantization import TOPS

_FREE = frozenset({"add", "avg_pool", "concat", "flatten", "pool"})  # kinds that keep no input for the backward pass
STORED_BITS = 8
SUM = ":sum"
"""After the path of a layer: its output before the activation function."""


def stored8(layers: Sequence[Layer]) -> list[str]:
    """Names of the tensors (``"input"``, a layer's path, or its path and :data:`SUM`) that are stored in 8 bits."""
    names = [INPUT] if any(layer.in8 and layer.inputs[0] == INPUT for layer in layers) else []
    for layer in layers:
        names += [layer.path + SUM] if layer.sums8 else []
        names += [layer.path] if layer.out8 else []
    return names


def moved(layers: Sequence[Layer]) -> dict[str, str]:
    """Traced layers that take values from one tensor and change none -> that tensor, the first of a chain."""
    found: dict[str, str] = {}
    for y in layers:
        if y.kind == "call" and y.call is not None and y.call.call.op.split(".")[-2:][0] in MOVES:
            source = y.call.call.args[0]
            name = y.inputs[source.index]
            found[y.path] = found.get(name, name)
    return found


def live(layers: Sequence[Layer]) -> frozenset[str]:
    """Paths of the layers that the output depends on, and that depend on the input: others a runtime may leave out."""
    fed, read = {INPUT}, {layers[-1].path}
    for layer in layers:
        if layer.kind != "zero" and fed.intersection(layer.inputs):
            fed.add(layer.path)
    for layer in reversed(layers):
        if layer.kind != "zero" and layer.path in read:
            read.update(layer.inputs)
    return frozenset(fed & read - {INPUT})


@dataclass(frozen=True)
class Program:
    """Layers of one architecture, and what else running them needs.

    ``kept``: tensors stored in 8 bits; ``rounded``: others, after a ReLU, that no reader keeps as it is;
    ``narrow``: of those in 8 bits, the spec of fewer that all readers round them to, which training does at once;
    ``alone``: of those in no 8 bits that a layer rounds by itself and nothing else reads, that layer;
    ``done``: after each layer, the tensors that no later one reads; ``size``: height and width that the input is
    brought to, ``None`` to take it as it is.
    """

    layers: tuple[Layer, ...]
    kept: frozenset[str]
    rounded: frozenset[str]
    narrow: Mapping[str, QuantSpec]
    alone: Mapping[str, Layer]
    done: tuple[tuple[str, ...], ...]
    size: tuple[int, int] | None


def program(layers: Sequence[Layer], resized: bool) -> Program:
    """``resized``: whether the network has a resolution of its own."""
    seen: set[str] = {layers[-1].path}
    done: list[tuple[str, ...]] = []
    for layer in reversed(layers):
        names = tuple(dict.fromkeys(name for name in layer.inputs if name not in seen))
        seen.update(names)
        done.append(names)
    first = next(layer for layer in layers if layer.inputs[0] == INPUT)
    size = (first.h, first.w) if resized else None
    kept, rounded = frozenset(stored8(layers)), _rounded(layers)
    return Program(tuple(layers), kept, rounded, _narrow(layers), _alone(layers, kept), tuple(reversed(done)), size)


def _rounded(layers: Sequence[Layer]) -> frozenset[str]:
    own = {y.path for y in layers if y.precision.input is not None and not y.precision.integer}
    found = {name for y in layers if y.path in own for name in y.inputs}
    found -= {name for y in layers if y.path not in own and y.kind not in _FREE for name in y.inputs}
    return frozenset(y.path for y in layers if y.activation in TOPS and y.path in found)


def _alone(layers: Sequence[Layer], kept: frozenset[str]) -> dict[str, Layer]:
    readers: dict[str, list[Layer]] = {}
    for y in layers:
        for name in y.inputs:
            readers.setdefault(name, []).append(y)
    only = {name: ys[0] for name, ys in readers.items() if len(ys) == 1 and name not in kept}
    return {name: y for name, y in only.items() if y.precision.input is not None and not y.precision.integer}


def _narrow(layers: Sequence[Layer]) -> dict[str, QuantSpec]:
    readers: dict[str, set[QuantSpec | None]] = {}
    for y in layers:
        spec = y.precision.input if y.precision.integer else None
        for name in y.inputs:
            readers.setdefault(name, set()).add(spec)
    only = {name: next(iter(specs)) for name, specs in readers.items() if len(specs) == 1}
    return {name: spec for name, spec in only.items() if spec is not None and spec.bits < STORED_BITS}


Store = Callable[[str, Tensor, str], Tensor]


def plain(layer: Layer, y: Tensor) -> Tensor:
    """The activation function of the layer, of ``y``."""
    return y if layer.activation == "none" else ACTIVATIONS[layer.activation](y)


def as_read(
    program: Program, layer: Layer, y: Tensor, store: Store, activated: Callable[[Layer, Tensor], Tensor] = plain
) -> Tensor:
    """What readers see of a layer's sums ``y``: its activation function, stored in 8 bits where it is."""
    return store(layer.path, y, layer.activation) if layer.path in program.kept else activated(layer, y)


def finished(program: Program, layer: Layer, y: Tensor, store: Store) -> Tensor:
    """What readers see of a layer's output ``y``, whose sums are stored in 8 bits first where they are."""
    return as_read(program, layer, store(layer.path + SUM, y, "none") if layer.sums8 else y, store)


def run(
    program: Program,
    inputs: Sequence[Tensor],
    weighted: Callable[[Layer, Tensor], Tensor],
    store: Store,
    finish: Callable[[Layer, Tensor], Tensor] | None = None,
    seen: Callable[[str, Any], object] | None = None,
) -> Tensor:
    """Output of the last layer.

    ``seen`` is called with the name and the value of the input, and of each layer's output, as it is made.

    ``weighted`` computes a layer that has parameters, up to its activation function or what ``finish`` takes; ``store``
    makes of a tensor that is stored in 8 bits, and the name of its activation function, the values that its readers
    see; ``finish`` makes of what a layer computed what readers see, as :func:`finished` does. Shapes: one input is
    a picture (b, c, h, w) or sequences of token numbers, (b, t) or (b, sequences, t); several inputs are sequences
    (b, t), which may differ in length. The output is a picture, (b, t, values) of sequences, else (b, values); of a
    traced network what that gave.
    """
    inputs = tuple(map(_ordered, inputs)) if program.layers[-1].kind != "output" else tuple(inputs)
    values: dict[str, Any] = {INPUT: inputs[0] if len(inputs) == 1 else inputs}
    if program.size is not None and values[INPUT].shape[2:] != program.size:
        values[INPUT] = F.interpolate(values[INPUT], program.size, mode="bilinear")
    if INPUT in program.kept:
        values[INPUT] = store(INPUT, values[INPUT], "none")
    if seen is not None:
        seen(INPUT, values[INPUT])
    for layer, done in zip(program.layers, program.done, strict=True):
        given = [values[name] for name in layer.inputs]
        function = FUNCTIONS.get(layer.kind)
        if function:
            y = function(layer, *given)
        elif layer.call is not None:  # traced: its input has the form that it reads
            y = weighted(layer, given[0])
        else:
            y = CALLED[layer.kind](partial(weighted, layer), given[0])
        values[layer.path] = y = finish(layer, y) if finish else finished(program, layer, y, store)
        if seen is not None:
            seen(layer.path, y)
        for name in done:
            del values[name]
    last = program.layers[-1]
    output: Tensor = values[last.path]
    if last.kind == "output":
        return output
    return output.flatten(1) if output.dim() == 4 and last.out_h == last.out_w == 1 else output


def _ordered(x: Tensor) -> Tensor:
    """A picture with the channels of a pixel side by side in memory, where convolutions of mobile networks take a half
    to a seventh of the time on a processor. Layers keep that order; traced ones that of the model they came from."""
    return x.to(memory_format=torch.channels_last) if x.dim() == 4 and x.is_cpu else x
