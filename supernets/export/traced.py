"""Writing a traced network: its layers with weights as everywhere, its other operations by :mod:`.calls`.

Sizes are those of a batch of fixed size. What no value of the input changes (parameters, sizes, masks made of sizes) is
computed once, by torch, and held as constants.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from spaces import INPUT, Layer
from spaces.call import Call, Given
from supernets.export.calls import CALLS, FOLDED, NotExportable, Operand, Site
from supernets.export.calls.products import windows
from supernets.export.calls.site import TYPES
from supernets.export.kinds.activations import ACTIVATIONS
from supernets.export.kinds.weighted import parameters, product
from supernets.export.writer import GraphWriter
from supernets.functions.calls import named
from supernets.graph import SUM
from supernets.plain import Network


def without_form(path: str, op: str) -> str:
    """What is said of an operation that no file can hold."""
    instead = "write it with other operations of torch, or leave it out of what is wrapped"
    return f"{path}: no ONNX form for {op}: {instead}"


def traced(network: Network, writer: GraphWriter, metadata: Mapping[str, str] | None = None) -> bytes:
    """The model of a traced network, of the writer's batch. Raises :class:`NotExportable`."""
    values: dict[str, Any] = {}
    with torch.no_grad():
        network(*examples(network, writer.batch), seen=values.__setitem__)
    return Writing(network, writer, values).model(metadata)


def examples(network: Network, batch: int) -> list[Tensor]:
    """Inputs of zeros, as the network takes them."""
    return [
        torch.zeros([-size * batch if size < 0 else size for size in sizes], dtype=named(dtype))
        for sizes, dtype in network.takes
    ]


class Writing:
    """The layers of a network in order; ``values`` are what each gives for some input."""

    def __init__(self, network: Network, writer: GraphWriter, values: Mapping[str, Any]) -> None:
        self._network, self._writer, self._values = network, writer, values
        self._constant: set[str] = set()

    def model(self, metadata: Mapping[str, str] | None = None) -> bytes:
        """All of it, serialised."""
        *layers, last = self._network.layers
        if len(self._network.takes) == 1:
            self._input(INPUT)
        for y in layers:
            self._layer(y)
        assert last.kind == "output"
        outputs = [self._output(path) for path in last.inputs]
        return self._writer.model(*outputs[0], more=outputs[1:], metadata=metadata)

    def _input(self, name: str) -> None:
        value = self._values[name]
        self._writer.input(name, tuple(value.shape), TYPES[value.dtype])
        if self._writer.stored8(name):
            self._writer.store(name)

    def _output(self, path: str) -> tuple[str, tuple[int, ...], int]:
        value = self._values[path]
        name = path if path in self._constant else self._writer.read(path)
        if path in self._constant or path == INPUT or path in self._network.layers[0].inputs:
            name = self._writer.node("Identity", [self._operand(path).name], f"{path}:output")
        return name, tuple(value.shape), TYPES[value.dtype]

    def _layer(self, y: Layer) -> None:
        assert y.call is not None
        if is_constant(y.kind, y.call.call, y.inputs, self._constant):
            self._constant.add(y.path)
            if self._writer.stored8(y.path):
                self._writer.constant(y.path, self._values[y.path].numpy())
                self._writer.store(y.path)
        elif y.kind == "call":
            self._call(y)
        else:
            self._weighted(y)

    # -- operations

    def _call(self, y: Layer) -> None:
        assert y.call is not None
        said, name = y.call.call, operation_name(y.call.call.op)
        if name == "getitem" and y.inputs == (INPUT,) and len(self._network.takes) > 1:
            self._input(y.path)
            return
        if name not in CALLS:
            raise NotExportable(f"{without_form(y.path, said.op)} [not-exportable]")
        options = {key: self._filled(value, y) for key, value in said.options if key != "device"}
        args = self._filled(said.args, y)
        sums = y.path if y.activation == "none" else y.path + SUM
        CALLS[name](Site(self._writer, sums, said.op, args, options, self._values[y.path]))
        finish(self._writer, y, y.path, sums)

    def _filled(self, value: Any, y: Layer) -> Any:
        if isinstance(value, Given):
            return self._operand(y.inputs[value.index])
        if isinstance(value, tuple):
            return tuple(self._filled(item, y) for item in value)
        return named(value) if isinstance(value, str) else value

    def _operand(self, path: str) -> Any:
        value = self._values[path]
        if not isinstance(value, Tensor):
            return Operand(path, torch.empty(0)) if isinstance(value, tuple | list) else value
        if path not in self._constant:
            return Operand(path, value)
        name = f"{path}.weight"
        self._writer.constant(name, value.detach().numpy())
        return Operand(name, value, constant=True)

    # -- layers with weights

    def _weighted(self, y: Layer) -> None:
        module = self._network.module(y.path)
        name, base = self._writer.read(self._rows(y)), y.path
        if y.kind == "linear" and self._values[y.path].dim() != 2:
            base = f"{y.path}:rows"
            for suffix in ("", SUM):
                self._writer.same_grid(base + suffix, y.path + suffix)
        sums = base if y.activation == "none" else base + SUM
        self._sums(y, module, name, sums)
        finish(self._writer, y, base, sums)
        if base != y.path:
            self._writer.moved(base, y.path, "Reshape", [self._writer.numbers(*self._values[y.path].shape)])

    def _rows(self, y: Layer) -> str:
        """What a layer reads; a linear one in rows."""
        path = y.inputs[0]
        shape = self._values[path].shape
        if y.kind != "linear" or len(shape) == 2:
            return path
        rows = f"{path}:as rows"
        if rows not in self._writer.made:
            sizes = self._writer.numbers(math.prod(shape[:-1]), shape[-1])
            self._writer.moved(path, rows, "Reshape", [sizes])
        return rows

    def _sums(self, y: Layer, module: nn.Module, x: str, output: str) -> None:
        assert y.call is not None
        if y.kind == "batch_norm":
            names = [self._writer.constant(f"{y.path}.{n}", module.get_buffer(n).numpy() if n.startswith("running")
                     else module.get_parameter(n).detach().numpy())
                     for n in ("weight", "bias", "running_mean", "running_var")]  # fmt: skip
            self._writer.node("BatchNormalization", [x, *names], output, epsilon=y.call.call.eps)
            return
        if y.kind == "linear":
            product(self._writer, y, module, x, output)
            return
        inputs = [x, *parameters(self._writer, y, module)]
        stride, padding, dilation, groups = y.call.call.args
        attributes = windows(y.call.sizes[2:], stride, padding, dilation)
        self._writer.node("Conv", inputs, output, group=groups, **attributes)


def finish(writer: GraphWriter, y: Layer, path: str, sums: str) -> None:
    """After the sums of a layer its activation function, if it has one, and their uint8 forms where they are stored."""
    if sums != path:
        if writer.stored8(sums):
            writer.store(sums)
        elif y.kind == "linear" and y.runs8 and not y.out8:  # else few bits and some functions make a FusedGemm
            sums = writer.apart(sums, f"{sums}:apart")
        ACTIVATIONS[y.activation](writer, writer.read(sums), path)
    if writer.stored8(path):
        writer.store(path)


def is_constant(kind: str, call: Call, inputs: Sequence[str], known: Collection[str]) -> bool:
    """Whether what a traced layer gives is the same for every input; ``known`` are paths of which that is known."""
    if kind != "call":
        return kind == "parameter"
    return operation_name(call.op) in FOLDED or {inputs[i] for i in reads(call)} <= set(known)


def reads(call: Call) -> list[int]:
    """Numbers of the inputs that an operation computes with, in order."""
    options = tuple(value for name, value in call.options if name != "device")
    return list(dict.fromkeys(_given((call.args, options))))


def _given(value: Any) -> Iterator[int]:
    if isinstance(value, Given):
        yield value.index
    elif isinstance(value, tuple):
        for item in value:
            yield from _given(item)


def operation_name(op: str) -> str:
    """``add`` of ``aten.add.Tensor``."""
    return op.split(".")[1] if "." in op else op
