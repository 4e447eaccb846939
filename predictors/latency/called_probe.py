"""Networks of random weights, and the model to time for one operation of a traced network: as that runs it, alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from onnx import TensorProto, helper
from torch import Tensor, nn

from predictors.latency.key import CallKey
from predictors.latency.weights import precision_of
from spaces import INPUT, Layer
from spaces.call import Call, Given, Resolved
from spaces.outline import Takes
from spaces.precision import FLOAT
from supernets.export import GraphWriter
from supernets.export.traced import Writing, examples, operation_name
from supernets.functions.calls import named
from supernets.graph import stored8
from supernets.plain import Grid, Network, Quantized, Simulated
from supernets.plain.blocks import Held
from supernets.plain.fresh import FRESH, fresh

SCALE, MIDDLE = 0.02, 128


def random_network(layers: Sequence[Layer], takes: Takes, shape: tuple[int, int, int]) -> Network:
    """A network with random weights, and some grid for every tensor that is stored in 8 bits."""
    rectified = {y.path for y in layers if y.activation == "relu"}
    grids = {
        name: Grid(torch.tensor(SCALE), torch.tensor(0 if name in rectified else MIDDLE)) for name in stored8(layers)
    }
    return Network(layers, random_modules(layers), grids, shape, takes=takes).eval()


def random_modules(layers: Sequence[Layer]) -> Mapping[str, nn.Module]:
    """A module of random weights for every layer that has some."""
    modules: dict[str, nn.Module] = {}
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        torch.manual_seed(0)
        for y in layers:
            if y.kind not in FRESH:
                continue
            module = modules[y.path] = fresh(y, True, modules)
            if isinstance(module, Quantized):
                most = 2 ** (module.bits - 1) - 1
                module.codes.copy_(torch.randint(-most, most + 1, module.codes.shape))
                module.scale.fill_(0.01)
                module.input_scale.fill_(SCALE)
            elif isinstance(module, Simulated):
                spec = y.precision.weight
                assert spec is not None
                module.codes.copy_(torch.randint(1 - 2 ** (spec.bits - 1), 2 ** (spec.bits - 1), module.codes.shape))
                module.scale.fill_(0.01)
            elif isinstance(module, Held) and module.weight.is_floating_point():
                module.weight.normal_()
    return modules


def call_model(key: CallKey) -> bytes:
    """Tensors in 8 bits come and go as the integer kernels have them: pictures with their channels last."""
    outside = [(sizes, "torch.float32" if form == "u8" else form) for form, sizes in key.inputs if "held" not in form]
    layers, names = _inputs(key, len(outside))
    layers.append(_layer(key, tuple(names)))
    ends = ["layer"]
    if parts := _parts(key):
        ends = [f"part{i}" for i in range(parts)]
        layers += [_call(end, "getitem", (Given(0), i), ("layer",)) for i, end in enumerate(ends)]
    tree = Given(0) if len(ends) == 1 else tuple(map(Given, range(len(ends))))
    layers.append(_call("output", "output", (tree,), tuple(ends), kind="output"))
    network = random_network(layers, tuple(outside), (1, 1, 1))
    writer = GraphWriter(1)
    for name in stored8(network.layers):
        writer.grid(name, SCALE, int(network.grid(name).zero_point))
    return _Alone(network, writer, _values(network)).model()


def _parts(key: CallKey) -> int:
    """How many tensors it gives, where they are several."""
    match operation_name(key.call):
        case "split_with_sizes":
            return len(key.args[1])
        case "unbind":
            return key.inputs[0][1][key.args[1] if len(key.args) > 1 else 0]
        case _:
            return 0


def _values(network: Network) -> dict[str, object]:
    values: dict[str, object] = {}
    with torch.no_grad():
        network(*examples(network, 1), seen=values.__setitem__)
    return values


class _Alone(Writing):
    """What goes in and out in 8 bits is codes."""

    def _input(self, name: str) -> None:
        value = self._values[name]
        if not self._writer.stored8(name):
            super()._input(name)
        elif value.dim() == 4:
            b, c, h, w = value.shape
            self._writer.input(f"{name}:last", (b, h, w, c), TensorProto.UINT8)
            self._writer.node("Transpose", [f"{name}:last"], f"{name}:q", perm=[0, 3, 1, 2])
        else:
            self._writer.input(f"{name}:q", tuple(value.shape), TensorProto.UINT8)

    def _call(self, y: Layer) -> None:
        super()._call(y)
        assert y.call is not None
        pictures = y.inputs and isinstance(self._values[y.inputs[0]], Tensor) and self._values[y.inputs[0]].dim() == 4
        if pictures and self._writer.stored8(y.inputs[0]) and operation_name(y.call.call.op) == "max_pool2d":
            self._channels_last(y)

    def _channels_last(self, y: Layer) -> None:
        """A pool as behind an integer convolution; the runtime does not make it so by itself where there is none."""
        nodes = self._writer.nodes
        at = next(i for i, node in enumerate(nodes) if node.op_type == "MaxPool")
        pool = nodes.pop(at)
        read = next(node for node in nodes if node.output[0] == pool.input[0])
        nodes.remove(read)
        codes, attributes = f"{y.path}:codes", {a.name: helper.get_attribute_value(a) for a in pool.attribute}
        before = len(nodes)
        self._writer.node("NhwcMaxPool", [f"{y.inputs[0]}:last"], f"{codes}:last", domain="com.microsoft", **attributes)
        self._writer.node("Transpose", [f"{codes}:last"], codes, perm=[0, 3, 1, 2])
        self._writer.node("DequantizeLinear", [codes, *read.input[1:]], pool.output[0])
        nodes[at - 1 : at - 1] = [nodes.pop() for _ in range(len(nodes) - before)][::-1]

    def _output(self, path: str) -> tuple[str, tuple[int, ...], int]:
        shape = tuple(self._values[path].shape)
        if not self._writer.stored8(path):
            return super()._output(path)
        if len(shape) != 4:
            return f"{path}:q", shape, TensorProto.UINT8
        self._writer.node("Transpose", [f"{path}:q"], "output", perm=[0, 2, 3, 1])
        b, c, h, w = shape
        return "output", (b, h, w, c), TensorProto.UINT8


def _inputs(key: CallKey, outside: int) -> tuple[list[Layer], list[str]]:
    """Layers for what the operation reads, and their paths."""
    layers: list[Layer] = []
    names: list[str] = []
    for i, (form, sizes) in enumerate(key.inputs):
        if form.startswith("held"):
            call = Call("held", dtype=form.removeprefix("held "), buffer=not named(form[5:]).is_floating_point)
            ranges = tuple(((0, size),) for size in sizes)
            layers.append(_plain(f"held{i}", "parameter", (INPUT,), Resolved(call, ranges)))
        elif outside == 1:
            names.append(INPUT)
            continue
        else:
            number = sum("held" not in before for before, _ in key.inputs[:i])
            layers.append(_call(f"inputs.{number}", "getitem", (Given(0), number), (INPUT,), out8=form == "u8"))
        names.append(layers[-1].path)
    return layers, names


def _layer(key: CallKey, inputs: tuple[str, ...]) -> Layer:
    ranges = tuple(((0, size),) for size in key.held)
    call = Resolved(Call(key.call, key.args, key.options, eps=1e-5), ranges)
    integer = key.source == "u8"
    groups = key.args[3] if key.op == "conv" else 1
    sizes = key.held or (1, 1)
    in8 = bool(key.inputs) and key.inputs[0][0] == "u8"
    return _plain(
        "layer", key.op, inputs, call, c_in=sizes[-1 if len(sizes) == 1 else 1] * groups, c_out=sizes[0], groups=groups,
        activation=key.activation, precision=precision_of(key.weight), runs8=integer, in8=in8,
        out8=key.target == "u8",
    )  # fmt: skip


def _call(
    path: str, op: str, args: tuple[object, ...], inputs: tuple[str, ...], kind: str = "call", out8: bool = False
) -> Layer:
    return _plain(path, kind, inputs, Resolved(Call(op, args), ()), out8=out8)


def _plain(path: str, kind: str, inputs: tuple[str, ...], call: Resolved, **fields: object) -> Layer:
    sizes = dict.fromkeys(("c_in", "c_out", "kernel", "stride", "groups", "h", "w", "out_h", "out_w"), 1)
    flags = dict.fromkeys(("norm", "runs8", "in8", "out8"), False)
    given = {**sizes, **flags, "activation": "none", "precision": FLOAT, **fields}
    return Layer(path=path, kind=kind, inputs=inputs, call=call, **given)  # type: ignore[arg-type]
