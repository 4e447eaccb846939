"""From a walked trace to an outline: records with paths, choices, and what was not made elastic."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import torch

from spaces import INPUT, Choice, Chosen, Outline, Record, Space, precision
from spaces.call import Call, Given
from spaces.choice import When
from spaces.layers import Field
from spaces.precision import Refused
from spaces.sound import misplaced
from supernets.wrapping.depth import Depth
from supernets.wrapping.errors import wrong
from supernets.wrapping.functions import activations
from supernets.wrapping.nodes import BATCH, Node, Ref, Trace
from supernets.wrapping.options import Options
from supernets.wrapping.sites import Layers, Weighted
from supernets.wrapping.walk import Size, Step, Walk, base
from supernets.wrapping.widths import Widths

_CREATE = frozenset({"zeros", "ones", "full", "empty", "arange", "eye", "linspace"})
_DROPPED = frozenset({"layout", "pin_memory", "requires_grad"})


@dataclass
class Builder:
    """Records in the making; ``names`` says which record a node has become."""

    trace: Trace
    walk: Walk
    widths: Widths
    depth: Depth
    layers: Layers
    options: Options
    records: list[Record] = field(default_factory=list)
    choices: list[Choice] = field(default_factory=list)
    names: dict[str, str] = field(default_factory=dict)
    functions: dict[str, tuple[str, str]] = field(default_factory=dict)

    def build(self, name: str, classes: int) -> Space:
        """All records in order."""
        self.functions = activations(self.layers, self.depth)
        several = sum(node.op == "input" for node in self.trace.nodes) > 1
        number = 0
        for node in self.trace.nodes:
            step = self.walk.steps[node.name]
            if node.op == "input":
                self.names[node.name] = self._argument(number, step) if several else INPUT
                number += 1
            elif node.op == "output":
                self._output(node)
            elif node.op != "held" and node.name not in self.layers.folded:
                self._node(node, step)
        inputs = [node for node in self.trace.nodes if node.op == "input"]
        shape = [size for size in self._chw(self.walk.steps[inputs[0].name].dims) if isinstance(size, int)]
        takes = tuple((_free_batch(node.sizes or ()), str(node.dtype)) for node in inputs)
        outline = Outline((shape[0], shape[1], shape[2]), classes, tuple(self.records), takes=takes)
        return _placed(Space(name, (*self.depth.choices, *self.widths.choices, *self.choices), outline))

    def _node(self, node: Node, step: Step) -> None:
        weighted = self.layers.weighted.get(node.name)
        if step.op == "aten.alias.default":
            self.names[node.name] = self._read(step.args[0])
        elif node.name in self.layers.norm_of:
            self._ended(node, self.layers.norm_of[node.name])
        elif node.name in self.functions:
            self._ended(node, self.functions[node.name][1])
        elif weighted is not None:
            self._weighted(node, step, weighted)
        elif node.name in self.layers.norms:
            self._norm(node, step)
        else:
            self._call(node, step)

    def _ended(self, node: Node, source: str) -> None:
        """A norm or an activation function that the record of a layer holds; a sum has what passes it by among its
        inputs."""
        layer = self.layers.weighted.get(source)
        path = layer.path if layer is not None else self.layers.norms.get(source)
        when = self._when(node.name)
        self.names[node.name] = self.names[source] if path is None else self._passed(node, path, when)

    # -- kinds of records

    def _weighted(self, node: Node, step: Step, w: Weighted) -> None:
        weight = tuple(map(self.widths.axis, w.weight))
        linear = w.kind == "linear"
        args = () if linear else tuple(self._arg(a, []) for a in step.args[3:7])
        form = 1 if not linear else -1
        reads, shape = (self._chw(self.walk.steps[ref].dims, form) for ref in (node.args[0].name, node.name))
        taps = 1 if linear else math.prod(axis.most for axis in weight[2:])
        groups = 1 if linear else args[3]
        eps = 0.0 if w.norm is None else float(self.walk.steps[w.norm].node.args[7])
        call = Call(
            step.op, args, reads=reads, shape=shape, weight=weight, taps=taps, eps=eps, again=w.again,
            **self._given_out(step),
        )  # fmt: skip
        when = self._when(node.name)
        precision: str | Chosen = self.options.precision[0]
        if len(self.options.precision) > 1:
            precision = Chosen(f"{w.path}.precision")
            self.choices.append(Choice(precision.name, self.options.precision, when))
        kernel = weight[2].most if not linear and len({axis.most for axis in weight[2:]}) == 1 else 1
        stride = _whole(args[0]) if args else 1
        if w.owner is not None and w.owner in self.trace.held:
            self._held(self.layers.node_of[w.owner])
        self._add(node, Record(
            w.path, w.kind, (self._read(node.args[0]),), out=weight[0], kernel=kernel, stride=stride,
            norm=w.norm is not None, activation=self._function(node), precision=precision, exists_when=when,
            groups=groups, bias=w.bias, weight_of=w.owner, call=call,
        ))  # fmt: skip

    def _function(self, node: Node) -> str:
        """The activation function after a layer."""
        return next((name for name, source in self.functions.values() if source == node.name), "none")

    def _norm(self, node: Node, step: Step) -> None:
        dims = step.dims
        assert isinstance(dims, tuple)
        chw = self._chw(dims, 1)
        weight = (self.widths.axis(dims[1]),)
        call = Call(
            step.op, (len(dims),), reads=(weight[0], *chw[1:]), shape=chw, weight=weight, eps=float(node.args[7]),
            **self._given_out(step),
        )  # fmt: skip
        path = self.layers.norms[node.name]
        when = self._when(node.name)
        reads, function = (self._read(node.args[0]),), self._function(node)
        self._add(node, Record(path, "batch_norm", reads, norm=True, activation=function, exists_when=when, call=call))

    def _call(self, node: Node, step: Step) -> None:
        end = next((name for name, (_, source) in self.functions.items() if source == node.name), node.name)
        before = self.depth.before.get(end)
        inputs = [] if before is None else [self._read(Ref(before))]
        args = tuple(self._arg(a, inputs) for a in step.args)
        options = [(k, self._arg(v, inputs)) for k, v in node.options.items() if k not in {*_DROPPED, "device"}]
        if base(step.op) in _CREATE:
            options.append(("device", self._given(INPUT, inputs)))
        call = Call(
            step.op, args, tuple(options) if step.op == node.op else (), reads=self._chw(step.dims),
            shape=self._chw(step.dims), macs=self.widths.size(step.macs) if step.macs else 0, **self._given_out(step),
        )  # fmt: skip
        path = self.layers.unique(".".join(part for part in (node.module, base(step.op)) if part))
        when = self._when(node.name)
        function = self._function(node)
        self._add(
            node, Record(path, "call", tuple(inputs) or (INPUT,), activation=function, exists_when=when, call=call)
        )

    def _held(self, node: Node) -> str:
        """The record of a parameter, made where it is first read."""
        if node.name not in self.names:
            dims = self.walk.steps[node.name].dims
            assert isinstance(dims, tuple)
            dtype = str(self.trace.held[node.target].dtype)
            weight, size = tuple(map(self.widths.axis, dims)), self.widths.size(dims)
            buffer = node.target not in self.trace.trained
            call = Call("held", reads=(size, 1, 1), shape=(0, 1, 1), weight=weight, dtype=dtype, buffer=buffer)
            when = self.layers.common(node.name, self.depth.when)
            self._add(node, Record(node.target, "parameter", (INPUT,), exists_when=when, call=call))
        return self.names[node.name]

    def _argument(self, number: int, step: Step) -> str:
        path = f"inputs.{number}"
        chw = self._chw(step.dims)
        call = Call("getitem", (Given(0), number), reads=chw, shape=chw, **self._given_out(step))
        self.records.append(Record(path, "call", (INPUT,), call=call))
        return path

    def _output(self, node: Node) -> None:
        inputs: list[str] = []
        tree = _mapped(node.args[0], lambda ref: self._given(self._read(ref), inputs))
        self.records.append(Record("output", "output", tuple(inputs), call=Call("output", (tree,), shape=(0, 1, 1))))

    def _add(self, node: Node, record: Record) -> None:
        self.records.append(record)
        self.names[node.name] = record.path
        if record.kind != "call":
            self.names[node.name] = self._passed(node, record.path, record.exists_when)

    def _passed(self, node: Node, path: str, when: When) -> str:
        """What others read of the end of a block: where the block is absent, what comes in passes by."""
        before = self.depth.before.get(node.name)
        if before is None:
            return path
        end = self.layers.unique(f"{path}.end")
        self.records.append(Record(end, "select", (self._read(Ref(before)), path), rows=1, exists_when=when))
        return end

    # -- pieces

    def _when(self, name: str) -> When:
        return self.depth.when.get(name, ())

    def _read(self, ref: Any) -> str:
        """The record that an argument has become."""
        node = self.walk.steps[ref.name].node
        return self._held(node) if node.op == "held" else self.names[ref.name]

    def _given(self, path: str, inputs: list[str]) -> Given:
        if path not in inputs:
            inputs.append(path)
        return Given(inputs.index(path))

    def _arg(self, value: Any, inputs: list[str]) -> Any:
        if isinstance(value, Ref):
            return self._given(self._read(value), inputs)
        if isinstance(value, Size):
            axis = self.widths.axis(value.dim)
            return axis if axis.names else axis.most
        if isinstance(value, tuple | list):
            return tuple(self._arg(item, inputs) for item in value)
        if isinstance(value, torch.dtype | torch.memory_format | torch.layout):
            return str(value)
        if isinstance(value, float) and not math.isfinite(value):
            return f"torch.{value}"
        return value

    def _given_out(self, step: Step) -> dict[str, Any]:
        """Sizes and type of the one tensor that it gives."""
        if not isinstance(step.dims, tuple):
            return {}
        dims = tuple(self.widths.size([dim]) for dim in step.dims)
        batched = tuple(i for i, dim in enumerate(step.dims) if self.walk.has_batch(dim))
        return {"dims": dims, "batched": batched, "dtype": str(step.node.dtype)}

    def _chw(self, dims: Any, channels: int | None = None) -> tuple[Field, Field, Field]:
        """Channels, height and width of a tensor; of one that is no picture the last dimension and all others."""
        if not isinstance(dims, tuple):
            return (0, 1, 1)
        size = self.widths.size
        if channels == 1 or (channels is None and len(dims) >= 4):
            return (size(dims[1:2]), size(dims[2:3]), size(dims[3:]))
        return (size(dims[-1:]), size(dims[:-1]), 1)


def _placed(space: Space) -> Space:
    """The same where each layer has the precisions that can be there: groups of inputs must divide all its widths."""
    out: dict[str, dict[str, Refused]] = {}
    for path, found, refused in misplaced(space):
        out.setdefault(path, {})[found.name] = refused
    for r in space.outline.records:
        if r.path in out and not isinstance(r.precision, Chosen):
            refused = next(iter(out[r.path].values()))
            raise wrong(
                r.path, f"precision {r.precision}: {refused.what}", refused.code, refused.hint or "write float, or w8a8"
            )
    choices = []
    for c in space.choices:
        path, _, last = c.name.rpartition(".")
        of = out.get(path, {}) if last == "precision" else {}
        values = tuple(v for v in c.values if not of or precision.parse(str(v)).name not in of)
        if not values:
            refused = next(iter(of.values()))
            raise wrong(path, f"precision {c.values[0]}: {refused.what}", refused.code, "add float, or w8a8")
        choices.append(replace(c, values=values))
    return Space(space.name, tuple(choices), space.outline) if out else space


def _free_batch(sizes: Sequence[int]) -> tuple[int, ...]:
    """Sizes of an input, -1 for the batch."""
    return tuple(size if size % BATCH or size == 0 else -size // BATCH for size in sizes)


def _whole(value: Any) -> int:
    first = value[0] if isinstance(value, tuple) else value
    return first if isinstance(first, int) else 1


def _mapped(value: Any, change: Any) -> Any:
    """A structure with each reference changed; mappings as tuples of pairs after the word ``dict``."""
    if isinstance(value, Ref):
        return change(value)
    if type(value) is dict:
        return ("dict", *((str(key), _mapped(item, change)) for key, item in value.items()))
    if type(value) in (list, tuple):
        return tuple(_mapped(item, change) for item in value)
    if value is None:
        return None
    hint = "return a tensor, or tuples, lists and dicts of tensors"
    raise wrong("", f"its output has a {type(value).__name__}", "wrong-output", hint)
