"""Models to time: one layer or one conversion in its kernel's own layout, and whole networks, weights random."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from predictors.latency.key import BoundaryKey, Key, LayerKey
from spaces import INPUT, Layer
from spaces.outline import WEIGHTED
from spaces.precision import FLOAT, parse
from supernets.export import GraphWriter
from supernets.export.qdq import IR_VERSION, OPSET
from supernets.graph import stored8

_SCALE = 0.02
_MIDDLE = 128


def empty_model() -> bytes:
    """A session that does next to nothing: the cost of a call itself."""
    writer = GraphWriter(INPUT, (1, 1))
    writer.node("Relu", [INPUT], "output")
    return writer.model("output", (1, 1))


def key_model(key: Key, batch: int = 1) -> bytes:
    """The model whose time, less that of a call, is the row of ``key``."""
    return _boundary_model(key, batch) if isinstance(key, BoundaryKey) else _layer_model(key)


def network_model(layers: Sequence[Layer], shape: tuple[int, int, int], batch: int) -> bytes:
    """A whole network of these layers, as it would be exported, with random weights."""
    writer = GraphWriter(INPUT, (batch, *shape))
    by_path = {layer.path: layer for layer in layers}
    for name in stored8(layers):
        writer.grid(name, _SCALE, 0 if name != INPUT and by_path[name].activation == "relu" else _MIDDLE)
    if INPUT in stored8(layers):
        writer.store(INPUT)
    for layer in layers:
        _write(writer, layer)
    return writer.model(layers[-1].path, (batch, layers[-1].c_out))


def _write(writer: GraphWriter, layer: Layer) -> None:
    weight = bias = ""
    if layer.kind in WEIGHTED:
        rng = np.random.default_rng(0)
        shape = (layer.c_out, layer.c_in) + ((layer.kernel,) * 2 if layer.kind == "conv" else ())
        spec = layer.precision.weight
        if spec is None:
            weight = writer.constant(f"{layer.path}.weight", rng.normal(0, 0.05, shape).astype(np.float32))
            bias = writer.constant(f"{layer.path}.bias", np.zeros(layer.c_out, np.float32))
        else:
            scale = np.full(layer.c_out, 0.01, np.float32)
            codes = rng.integers(spec.lowest, spec.highest + 1, shape).astype(np.int8)
            weight = writer.weights(layer.path, codes, scale, spec.bits)
            bias = writer.bias(layer.path, np.zeros(layer.c_out, np.int32), scale * np.float32(_SCALE))
    writer.layer(layer, weight, bias)


def _layer_model(key: LayerKey) -> bytes:
    """Integer layers take and give uint8 in NHWC: the Transposes to and from it cancel against the runtime's own."""
    integer = key.source == "u8"
    if integer and key.op == "pool":
        return _integer_pool_model(key)
    inputs = ("a", "b") if key.op == "add" else ("a",)
    source, target = (key.batch, key.c_in, key.h, key.w), (key.batch, key.c_out, *_out(key))
    writer = GraphWriter(None, ())
    for name in inputs:
        writer.inputs.append(_input(name, source, integer))
        if integer:
            writer.grid(name, _SCALE, _MIDDLE)
            writer.node("Transpose", [f"{name}:nhwc"], f"{name}:q", perm=[0, 3, 1, 2])
    out_h, out_w = _out(key)
    layer = Layer(
        path="layer", kind=key.op, inputs=inputs, c_in=key.c_in, c_out=key.c_out, kernel=key.kernel, stride=key.stride,
        groups=key.groups, h=key.h, w=key.w, out_h=out_h, out_w=out_w, norm=False, activation=key.activation,
        precision=parse("w8a8") if integer and key.op in WEIGHTED else FLOAT,
        runs8=integer, in8=integer, out8=key.target == "u8",
    )  # fmt: skip
    if key.target == "u8":
        writer.grid("layer", _SCALE, 0 if key.activation == "relu" else _MIDDLE)
    _write(writer, layer)
    if key.target == "f32":
        return writer.model("layer", target[:2] if key.op == "linear" else target)
    writer.node("Transpose", ["layer:q"], "output", perm=[0, 2, 3, 1])
    return writer.model("output", (target[0], *target[2:], target[1]), TensorProto.UINT8)


def _integer_pool_model(key: LayerKey) -> bytes:
    """The runtime's own node: alone, a pool is left in NCHW with Transposes around it, which a network has not."""
    source, target = (key.batch, key.h, key.w, key.c_in), (key.batch, 1, 1, key.c_out)
    grid = [
        numpy_helper.from_array(np.array(_SCALE, np.float32), "scale"),
        numpy_helper.from_array(np.array(_MIDDLE, np.uint8), "zero_point"),
    ]
    node = helper.make_node(
        "QLinearGlobalAveragePool", ["a", "scale", "zero_point", "scale", "zero_point"], ["output"],
        domain="com.microsoft", channels_last=1,
    )  # fmt: skip
    inputs = [helper.make_tensor_value_info("a", TensorProto.UINT8, source)]
    outputs = [helper.make_tensor_value_info("output", TensorProto.UINT8, target)]
    graph = helper.make_graph([node], "pool", inputs, outputs, grid)
    opsets = [helper.make_opsetid("", OPSET), helper.make_opsetid("com.microsoft", 1)]
    return bytes(helper.make_model(graph, opset_imports=opsets, ir_version=IR_VERSION).SerializeToString())


def _boundary_model(key: BoundaryKey, batch: int) -> bytes:
    nchw, nhwc = (batch, key.c, key.h, key.w), (batch, key.h, key.w, key.c)
    writer = GraphWriter(None, ())
    writer.inputs.append(_input("a", nchw, key.op == "dequantize"))
    writer.grid("a", _SCALE, _MIDDLE)
    if key.op == "quantize":
        writer.store("a")
        writer.node("Transpose", ["a:q"], "output", perm=[0, 2, 3, 1])
        return writer.model("output", nhwc, TensorProto.UINT8)
    writer.node("Transpose", ["a:nhwc"], "a:q", perm=[0, 3, 1, 2])
    return writer.model(writer.read("a"), nchw)


def _input(name: str, nchw: tuple[int, int, int, int], integer: bool) -> onnx.ValueInfoProto:
    b, c, h, w = nchw
    if integer:
        return helper.make_tensor_value_info(f"{name}:nhwc", TensorProto.UINT8, (b, h, w, c))
    return helper.make_tensor_value_info(name, TensorProto.FLOAT, nchw)


def _out(key: LayerKey) -> tuple[int, int]:
    return (1, 1) if key.op in ("pool", "linear") else (-(-key.h // key.stride), -(-key.w // key.stride))
