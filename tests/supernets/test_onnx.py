"""Exported files run on the kernels they are meant for, and the audit notices where they would not.

The traps are the silent fallbacks of this project's reference on kernels, section 5.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

import numpy as np
import onnx
import onnxruntime as ort
import pytest
from onnx import TensorProto, helper, numpy_helper

from predictors.latency.backends import onnxruntime as backend
from spaces import Architecture, Layer
from spaces.outline import WEIGHTED
from spaces.precision import FLOAT
from spaces.randomness import generator
from supernets import Network, export, extract
from supernets.export import GraphWriter, NotExportable
from supernets.export.onnx import write
from tests.examples import PLAIN, RESIDUAL, space_of
from tests.subnets import calibrated, randomised

TEXT = """
model: {family: convnet, input: [2, 8, 8], classes: 3, stages: [{depth: 3, width: 8, residual: false}]}
precision: {choice: [float, w8a8, w4a8]}
"""
BLOCKS = [f"stages.0.{i}.conv" for i in range(3)]
PATHS = [*BLOCKS, "classifier"]


def network(*precisions: str, residual: bool = False) -> Network:
    """Three convs of 8 channels and a classifier in these precisions."""
    space = space_of(TEXT.replace("residual: false", "residual: true") if residual else TEXT)
    values = {f"{path}.precision": p for path, p in zip(PATHS, precisions, strict=True)}
    net = randomised(space)
    architecture = space.architecture(values)
    return extract(net, architecture, calibrated(net, architecture))


def unintended(plain: Network, model: bytes | None = None) -> list[str]:
    """What the audit finds wrong."""
    weighted = [y for y in plain.layers if y.kind in WEIGHTED]
    audit = backend.audit(model or export.onnx(plain), [y.path for y in weighted])
    return audit.unintended({y.path: y.precision.quantized for y in weighted})


def kernels(plain: Network) -> tuple[dict[str, str], Counter[str]]:
    """(what runs each layer, how many nodes of each type)."""
    audit = backend.audit(export.onnx(plain), PATHS)
    return audit.layers, Counter(audit.kernels)


def edited(plain: Network, edit: Callable[[onnx.ModelProto], None]) -> bytes:
    """The exported model after a change."""
    model = onnx.load_from_string(export.onnx(plain))
    edit(model)
    onnx.checker.check_model(model)
    return bytes(model.SerializeToString())


def replaced(model: onnx.ModelProto, name: str, change: Callable[[Any], Any]) -> None:
    """Change the value of an initialiser."""
    (found,) = [i for i in model.graph.initializer if i.name == name]
    found.CopyFrom(numpy_helper.from_array(change(numpy_helper.to_array(found)), name))


# --- what runs --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("residual", [False, True], ids=["plain", "residual"])
@pytest.mark.parametrize("precision", ["w8a8", "w4a8"])
def test_integer_layers_run_on_integer_kernels(precision: str, residual: bool) -> None:
    """4-bit ones on the 8-bit kernels: their Cast is folded when the file is loaded."""
    layers, nodes = kernels(network(*[precision] * 4, residual=residual))
    assert layers == {**dict.fromkeys(BLOCKS, "QLinearConv"), "classifier": "QGemm"}
    assert (nodes["QLinearConv"], nodes["QGemm"]) == (3, 1)
    assert not set(nodes) & {"Conv", "FusedConv", "Gemm", "FusedGemm", "MatMul", "Cast"}
    assert nodes["QLinearAdd"] == int(residual)  # the other add has no reader with integer weights


def test_float_layers_run_on_float_kernels() -> None:
    layers, nodes = kernels(network(*["float"] * 4))
    assert set(layers.values()) <= {"Conv", "FusedConv", "Gemm", "FusedGemm"}
    assert not [op for op in nodes if op.startswith("Q") or op == "DequantizeLinear"]


@pytest.mark.parametrize("text", [PLAIN, RESIDUAL], ids=["plain", "residual"])
def test_every_layer_of_any_mixture_runs_as_meant(text: str) -> None:
    """Integer if and only if its precision is, for architectures drawn from the whole space."""
    net = randomised(space_of(text))
    for architecture in net.space.sample_many(12, generator(0, "test"), by_choice=True):
        assert unintended(extract(net, architecture, calibrated(net, architecture))) == []


def test_the_form_of_the_file() -> None:
    """Opset 21; int8 and 4-bit weights, int32 biases, one reader per DequantizeLinear, scalars for activations."""
    model = onnx.load_from_string(export.onnx(network("w8a8", "w4a8", "float", "w8a8"), batch=2))
    assert [(o.domain, o.version) for o in model.opset_import] == [("", 21)]
    assert [d.dim_value for d in model.graph.input[0].type.tensor_type.shape.dim] == [2, 2, 8, 8]
    assert [d.dim_value for d in model.graph.output[0].type.tensor_type.shape.dim] == [2, 3]
    assert backend.shape_of(model.SerializeToString())[0] == 2
    types = {i.name: i.data_type for i in model.graph.initializer if i.name.endswith((".weight", ".bias"))}
    integers, floats = (TensorProto.INT8, TensorProto.INT32), (TensorProto.FLOAT, TensorProto.FLOAT)
    assert types == {
        f"{path}.{part}": kind
        for path, kinds in zip(PATHS, [integers, (TensorProto.INT4, TensorProto.INT32), floats, integers], strict=True)
        for part, kind in zip(("weight", "bias"), kinds, strict=True)
    }
    readers = Counter(name for node in model.graph.node for name in node.input)
    for node in model.graph.node:
        if node.op_type == "DequantizeLinear":
            assert readers[node.output[0]] == 1
    for tensor in ("input", *BLOCKS[:2]):
        dims = {i.name: list(i.dims) for i in model.graph.initializer if i.name.startswith(f"{tensor}:")}
        assert dims == {f"{tensor}:scale": [], f"{tensor}:zero_point": []}


def test_the_same_network_gives_the_same_bytes() -> None:
    plain = network("w8a8", "w4a8", "float", "w8a8", residual=True)
    assert export.onnx(plain) == export.onnx(plain)


# --- traps ------------------------------------------------------------------------------------------------------------


def test_trap_1_a_zero_point_above_the_bottom_behind_a_relu() -> None:
    """The conv would run in float, its weights dequantized on every call."""
    plain = network(*["w8a8"] * 4)
    assert int(plain.grid(BLOCKS[0]).zero_point) == 0
    assert unintended(plain) == []
    plain.grid(BLOCKS[0]).zero_point.fill_(7)
    assert unintended(plain) == [f"{BLOCKS[0]}: meant for integers, runs as FusedConv"]


def test_trap_2_a_float_layer_between_integer_ones_turned_integer(monkeypatch: pytest.MonkeyPatch) -> None:
    """ONNX Runtime's WeightBiasQuantization does that, unasked, unless the session disables it."""
    plain = network("w8a8", "float", "w8a8", "float")
    assert unintended(plain) == []

    def careless(threads: int) -> Any:
        made = ort.SessionOptions()
        made.intra_op_num_threads = threads
        return made

    monkeypatch.setattr(backend, "options", careless)
    assert unintended(plain) == [f"{BLOCKS[1]}: meant for floats, runs as QLinearConv"]


def test_trap_5_four_bit_weights_without_the_cast() -> None:
    """A DequantizeLinear straight on INT4 leaves float kernels."""

    def direct(model: onnx.ModelProto) -> None:
        casts = {node.output[0]: node.input[0] for node in model.graph.node if node.op_type == "Cast"}
        kept = [node for node in model.graph.node if node.op_type != "Cast"]
        for node in kept:
            for position, name in enumerate(node.input):
                node.input[position] = casts.get(name, name)
        for i in model.graph.initializer:
            if i.name.endswith(".weight:zero_point"):
                zeros = bytes(-(-i.dims[0] // 2))
                i.CopyFrom(helper.make_tensor(i.name, TensorProto.INT4, list(i.dims), zeros, raw=True))
        del model.graph.node[:]
        model.graph.node.extend(kept)

    plain = network(*["w4a8"] * 4)
    assert unintended(plain) == []
    found = unintended(plain, edited(plain, direct))
    assert [problem.split(":")[0] for problem in found] == PATHS
    assert all("meant for integers, runs as " in problem for problem in found)


def test_trap_8_scales_of_activations_that_are_vectors() -> None:
    """One element in a vector is not a scalar: the integer add refuses it."""

    def vectors(model: onnx.ModelProto) -> None:
        for i in model.graph.initializer:
            if not i.dims:
                replaced(model, i.name, lambda value: value.reshape(1))

    plain = network(*["w8a8"] * 4, residual=True)
    with pytest.raises(Exception, match="Scale and Zero-point must be a scalar"):
        backend.session(edited(plain, vectors))


def test_a_bias_with_another_scale_is_noticed() -> None:
    """An integer kernel takes input scale x weight scale only; any other leaves a float kernel."""

    def wrong(model: onnx.ModelProto) -> None:
        replaced(model, f"{BLOCKS[1]}.bias:scale", lambda scale: scale * np.float32(1.5))

    plain = network(*["w8a8"] * 4)
    found = unintended(plain, edited(plain, wrong))
    assert len(found) == 1
    assert found[0].startswith(f"{BLOCKS[1]}: meant for integers, runs as ")


def test_a_layer_that_is_not_in_the_file_is_noticed() -> None:
    plain = network(*["float"] * 4)
    audit = backend.audit(export.onnx(plain), [*PATHS, "stages.0.3.conv"])
    assert audit.unintended({"stages.0.3.conv": False}) == ["stages.0.3.conv: no kernel found"]


# --- the writer -------------------------------------------------------------------------------------------------------


def test_a_layer_without_an_onnx_form_is_refused() -> None:
    layer = Layer("odd", "swirl", ("input",), 1, 1, 1, 1, 1, 1, 1, 1, 1, False, "none", FLOAT, False, False, False)
    with pytest.raises(NotExportable, match=r"^odd: no ONNX form for a layer of kind swirl$"):
        write(GraphWriter(), [layer], {})


@pytest.mark.parametrize("codes", [[7, -7, 0, 1], [-1, 2, -3], [5]])
def test_nibbles_are_packed_low_first(codes: list[int]) -> None:
    writer = GraphWriter()
    writer.weights("layer", np.array([codes], np.int8), np.ones(1, np.float32), bits=4)
    stored = next(i for i in writer.initialisers if i.name == "layer.weight")
    assert stored.raw_data[0] & 0xF == codes[0] & 0xF
    assert len(stored.raw_data) == (len(codes) + 1) // 2
    assert numpy_helper.to_array(stored).astype(np.int8).tolist() == [codes]


def test_an_architecture_of_one_layer_exports() -> None:
    """The classifier alone reads the pooled input; nothing is left to fuse with."""
    space = space_of("model: {family: convnet, input: [1, 1, 1], classes: 2, stages: [{width: 1, kernel: 1}]}")
    net = randomised(space)
    assert unintended(extract(net, Architecture({}), calibrated(net, Architecture({})))) == []
