"""Models to time, weights random: one layer or one conversion in its kernel's own layout."""

from __future__ import annotations

import numpy as np
from onnx import TensorProto, helper, numpy_helper

from predictors.latency.called_probe import MIDDLE, SCALE, call_model, random_modules
from predictors.latency.key import BoundaryKey, CallKey, Key, LayerKey
from predictors.latency.standing import READS
from predictors.latency.weights import precision_of
from spaces import INPUT, Layer
from spaces.layers import WEIGHTED
from spaces.precision import FLOAT
from supernets.export import GraphWriter
from supernets.export.onnx import declare, write
from supernets.export.writer import IR_VERSION, OPSET, Placed
from supernets.graph import SUM

_JOINED = frozenset({"add", "append"})


def empty_model() -> bytes:
    """A session that does next to nothing: the cost of a call itself."""
    writer = GraphWriter()
    writer.input(INPUT, (1, 1))
    writer.node("Relu", [INPUT], "output")
    return writer.model("output", (1, 1))


def key_model(key: Key, batch: int = 1) -> bytes:
    """The model whose time, less that of a call, is the row of ``key``."""
    if isinstance(key, CallKey):
        pool = _integer_pool(key)
        return call_model(key) if pool is None else _integer_pool_model(pool)
    return _boundary_model(key, batch) if isinstance(key, BoundaryKey) else _layer_model(key)


def _layer_model(key: LayerKey) -> bytes:
    """Integer layers take and give uint8 as their kernels do: Transposes of pictures cancel with the runtime's own."""
    integer = key.source == "u8"
    if integer and key.op == "pool" and key.lies == "picture":
        return _integer_pool_model(key)
    layer = _layer(key)
    writer = GraphWriter(key.batch)
    for name, placed in _inputs(key).items():
        _given(writer, name, placed, integer)
    if layer.sums8:
        writer.grid(layer.path + SUM, SCALE, MIDDLE)
    if layer.out8:
        writer.grid(layer.path, SCALE, 0 if key.activation == "relu" else MIDDLE)
    if key.op in ("embedding", "channel"):
        declare(writer, [layer], (key.c_in, key.h, key.w))
    write(writer, [layer], random_modules([layer]))
    if key.op == "channel":
        return writer.model(layer.path, (key.batch, key.h), TensorProto.INT64)
    placed = writer.placed[layer.path]
    if not layer.out8:
        return writer.model(layer.path, placed.shape(placed.form, key.batch))
    if placed.form != "picture":
        return writer.model(f"{layer.path}:q", placed.shape(placed.form, key.batch), TensorProto.UINT8)
    writer.node("Transpose", [f"{layer.path}:q"], "output", perm=[0, 2, 3, 1])
    return writer.model("output", (key.batch, placed.h, placed.w, placed.c), TensorProto.UINT8)


def _layer(key: LayerKey) -> Layer:
    integer = key.source == "u8"
    out_h, out_w = _out(key)
    return Layer(
        path="layer", kind=key.op, inputs=tuple(_inputs(key)) or (INPUT,), c_in=key.c_in, c_out=key.c_out,
        kernel=key.kernel, stride=key.stride, groups=key.groups, h=key.h, w=key.w, out_h=out_h, out_w=out_w, norm=False,
        activation=key.activation, precision=precision_of(key.weight) if key.op in WEIGHTED else FLOAT,
        runs8=integer, in8=integer, out8=key.target == "u8", heads=key.heads,
        kv_heads=key.kv_heads, rows=key.rows,
    )  # fmt: skip


def _inputs(key: LayerKey) -> dict[str, Placed]:
    """Of the layer alone, lying as its kernel wants them; inputs of a concatenation but the first are as wide each."""

    def placed(c: int, h: int, w: int) -> Placed:
        lies = READS.get(key.op, key.lies)
        form = "picture" if lies == "picture" else "vector" if h * w == 1 else "tokens"
        if form == "tokens" and key.op in ("linear", "norm", "rms_norm"):
            return Placed("rows", "tokens", c, h, w)
        return Placed(form, form, c, h, w)

    first = placed(key.c_in, key.h, key.w)
    match key.op:
        case "embedding" | "channel":
            return {}
        case "attention":
            other = placed(key.c_in // key.heads * (key.kv_heads or key.heads), key.others, 1)
            return {"a": first, "b": other, "c": other}
        case "concat":
            more = (key.others or 2) - 1
            widths = [(key.c_out - key.c_in + i) // more for i in range(more)]
            return {"a": first, **{f"b{i}": placed(width, key.h, key.w) for i, width in enumerate(widths)}}
        case "multiply":
            return {"a": first, "b": placed(key.c_in, 1, 1) if key.others == 1 else first}
        case _ if key.op in _JOINED:
            return {f"a{i}": first for i in range(key.others or 2)}
        case _:
            return {"a": first}


def _given(writer: GraphWriter, name: str, placed: Placed, integer: bool) -> None:
    """An input of the model, of float values or of uint8 codes as the kernel wants them."""
    writer.placed[name] = placed
    shape = placed.shape(placed.form, writer.batch)
    if not integer:
        writer.input(name, shape)
        return
    writer.grid(name, SCALE, MIDDLE)
    if placed.form == "picture":
        writer.input(f"{name}:nhwc", (writer.batch, placed.h, placed.w, placed.c), TensorProto.UINT8)
        writer.node("Transpose", [f"{name}:nhwc"], f"{name}:q", perm=[0, 3, 1, 2])
    else:
        writer.input(f"{name}:q", shape, TensorProto.UINT8)


def _integer_pool(key: CallKey) -> LayerKey | None:
    """The key of a family's layer for the mean over all places of a picture, from 8 bits to 8 bits."""
    form, sizes = key.inputs[0] if key.inputs else ("", ())
    over = key.args[1:2] in (((2, 3),), ((-2, -1),)) if key.call == "aten.mean.dim" else key.args[1:2] == ((1, 1),)
    known = key.call in ("aten.mean.dim", "aten.adaptive_avg_pool2d.default")
    if not known or not over or (form, key.target, key.activation, len(sizes)) != ("u8", "u8", "none", 4):
        return None
    b, c, h, w = sizes
    return LayerKey("pool", 1, 1, c, c, h, w, b, "f32", "u8", "u8", "none")


def _integer_pool_model(key: LayerKey) -> bytes:
    """The runtime's own node: alone, a pool is left in NCHW with Transposes around it, which a network has not."""
    source, target = (key.batch, key.h, key.w, key.c_in), (key.batch, 1, 1, key.c_out)
    grid = [
        numpy_helper.from_array(np.array(SCALE, np.float32), "scale"),
        numpy_helper.from_array(np.array(MIDDLE, np.uint8), "zero_point"),
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
    writer = GraphWriter(batch)
    op, *of = key.op.split()
    picture, tokens = (Placed(form, form, key.c, key.h, key.w) for form in ("picture", "tokens"))
    if op == "layout":
        writer.placed["a"] = picture
        dtype = TensorProto.UINT8 if of else TensorProto.FLOAT
        writer.input("a", picture.shape("picture", batch), dtype)
        return writer.model(writer.view("a", "rows"), picture.shape("rows", batch), dtype)
    if op == "dequantize":
        _given(writer, "a", tokens if of else picture, True)
        form = "tokens" if of else "picture"
        return writer.model(writer.read("a"), picture.shape(form, batch))
    _given(writer, "a", tokens if of else picture, False)
    writer.grid("a", SCALE, MIDDLE)
    writer.store("a")
    if of:
        return writer.model("a:q", tokens.shape("tokens", batch), TensorProto.UINT8)
    writer.node("Transpose", ["a:q"], "output", perm=[0, 2, 3, 1])
    return writer.model("output", (batch, key.h, key.w, key.c), TensorProto.UINT8)


def _out(key: LayerKey) -> tuple[int, int]:
    match key.op:
        case "pool" | "first" | "flatten":
            return 1, 1
        case "linear" | "norm" | "attention" | "embedding" | "add" | "multiply" | "concat" | "position" | "activation":
            return key.h, key.w
        case "class_token":
            return key.h + 1, 1
        case "tokens":
            return key.h * key.w, 1
        case "append":
            return (key.others or 2) * key.h, key.w
        case "upsample" | "shuffle":
            return key.h * key.stride, key.w * key.stride
        case _:
            return -(-key.h // key.stride), -(-key.w // key.stride)
