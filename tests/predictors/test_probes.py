"""Models to time run on the kernels that their keys name, in the kernels' own layout."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from predictors.latency import Target
from predictors.latency.backends import onnxruntime as backend
from predictors.latency.called_probe import random_network
from predictors.latency.key import BoundaryKey, LayerKey
from predictors.latency.plan import distinct_keys
from predictors.latency.probes import empty_model, key_model
from predictors.latency.profile import whole_network
from spaces import Record
from spaces.outline import WEIGHTED
from supernets import export
from supernets.export import GraphWriter
from tests.examples import space_of
from tests.predictors.networks import CHAIN, NO_CHOICE, RESIDUAL, conv, head, network

KERNEL = {"conv": "QLinearConv", "linear": "QGemm", "add": "QLinearAdd", "pool": "QLinearGlobalAveragePool"}
KEYS = sorted({key for text in (CHAIN, RESIDUAL) for key in distinct_keys(space_of(text), Target())}, key=str)


def executed(model: bytes) -> list[str]:
    """The types of the nodes that a session runs."""
    return [node.op_type for node in backend.optimised(model).graph.node]


@pytest.mark.parametrize("key", [k for k in KEYS if isinstance(k, LayerKey) and k.source == "u8"], ids=str)
def test_an_integer_layer_runs_alone_on_its_integer_kernel(key: LayerKey) -> None:
    """Native layout: no Transpose, Quantize or Dequantize around the kernel is timed with it."""
    assert executed(key_model(key)) == [KERNEL[key.op]]


@pytest.mark.parametrize("key", [k for k in KEYS if isinstance(k, LayerKey) and k.source == "f32"], ids=str)
def test_a_float_layer_runs_in_float(key: LayerKey) -> None:
    """One kernel, and at most the float kernels' own reorders around it."""
    ops = Counter(executed(key_model(key)))
    for helper_op in ("ReorderInput", "ReorderOutput", "Flatten", "Relu"):
        assert ops.pop(helper_op, 0) <= 1
    assert len(ops) == 1
    assert set(ops) <= {"Conv", "FusedConv", "Gemm", "FusedGemm", "Add", "GlobalAveragePool"}


@pytest.mark.parametrize("key", [k for k in KEYS if isinstance(k, BoundaryKey)], ids=str)
def test_a_conversion_is_a_conversion_and_a_change_of_layout(key: BoundaryKey) -> None:
    """Between float NCHW and uint8 NHWC."""
    op = {"quantize": "QuantizeLinear", "dequantize": "DequantizeLinear"}[key.op]
    assert sorted(executed(key_model(key))) == sorted([op, "Transpose"])


@pytest.mark.parametrize("batch", [1, 3])
def test_every_key_model_runs_and_gives_the_shape_that_its_key_says(batch: int) -> None:
    """Output: as large as the next layer expects it, for the batch size asked for."""
    for key in distinct_keys(space_of(RESIDUAL), Target(batch=batch)):
        shape = outcome(key_model(key, batch)).shape
        if isinstance(key, BoundaryKey):
            assert sorted(shape[1:]) == sorted([key.c, key.h, key.w])
        else:
            plane = () if key.op == "linear" else (1, 1) if key.op == "pool" else (-(-key.h // key.stride),) * 2
            assert sorted(shape[1:]) == sorted([key.c_out, *plane])
        assert shape[0] == batch


def outcome(model: bytes) -> Any:
    """What a model gives for an input of ones."""
    session = backend.session(model)
    types = {"tensor(uint8)": np.uint8, "tensor(float)": np.float32}
    return session.run(None, {i.name: np.ones(i.shape, types[i.type]) for i in session.get_inputs()})[0]


def test_an_empty_model_does_next_to_nothing() -> None:
    """One node on one number: what is left is the call."""
    assert executed(empty_model()) == ["Relu"]
    assert outcome(empty_model()).tolist() == [[1.0]]


def test_an_unknown_operation_is_refused() -> None:
    """A new kind of layer needs a probe of its own."""
    with pytest.raises(ValueError, match="no ONNX form for a layer of kind swish"):
        key_model(LayerKey("swish", 1, 1, 4, 4, 8, 8, 1, "f32", "f32", "f32", "none"))


# --- Whole networks ---------------------------------------------------------------------------------------------------


def test_a_chain_of_integers_runs_without_a_conversion_inside() -> None:
    """One Quantize and one Transpose at the input; the pooled values are laid out once for the classifier."""
    space = space_of(CHAIN)
    ops = executed(whole_network(space, space.extreme(max, "w8a8"), Target()))
    assert ops[:2] == ["QuantizeLinear", "Transpose"]
    assert Counter(ops[2:]) == {
        "QLinearConv": 4, "QLinearGlobalAveragePool": 1, "Transpose": 1, "Reshape": 1, "QGemm": 1,
    }  # fmt: skip


def test_four_bit_weights_are_small_in_the_file_and_run_as_eight() -> None:
    """The kernels of w4a8 are those of w8a8: a container precision."""
    space = space_of(CHAIN)
    eight, four = (whole_network(space, space.extreme(max, p), Target()) for p in ("w8a8", "w4a8"))
    assert executed(four) == executed(eight)
    types = {t.name: t.data_type for t in onnx.load_from_string(four).graph.initializer}
    assert types["stages.0.1.conv.weight"] == TensorProto.INT4


@pytest.mark.parametrize("text", [CHAIN, RESIDUAL], ids=["chain", "residual"])
def test_every_layer_of_a_drawn_network_runs_on_the_kernel_that_its_outline_says(text: str) -> None:
    """Kernels of integer layers, integer adds and pools included, are counted in the graph as it runs."""
    space = space_of(text)
    for architecture in space.sample_many(12, np.random.default_rng(3), by_choice=True):
        layers = space.outline.layers(architecture)
        audit = backend.audit(whole_network(space, architecture, Target()), [y.path for y in layers])
        wanted = Counter(KERNEL[y.kind] for y in layers if y.runs8)
        assert {op: audit.kernels.get(op, 0) for op in KERNEL.values()} == {op: wanted[op] for op in KERNEL.values()}
        assert audit.unintended({y.path: y.runs8 for y in layers if y.kind in WEIGHTED}) == []


# --- Audit ------------------------------------------------------------------------------------------------------------


def two_convs(broken: bool) -> bytes:
    """Two integer convolutions; ``broken``: the first one's output passes a LeakyRelu, so it runs in float.

    All scales are equal, so that the runtime merges their initialisers under the name of one of them.
    """
    writer = GraphWriter()
    writer.input("input", (1, 4, 8, 8))
    for tensor, bottom in (("input", 128), ("a", 128 if broken else 0), ("b", 0)):
        writer.grid(tensor, 0.02, bottom)
    writer.store("input")
    for path, source in (("a", "input"), ("b", "a")):
        weight = writer.weights(path, np.full((4, 4, 3, 3), 3, np.int8), np.full(4, 0.01, np.float32), 8)
        bias = writer.bias(path, np.zeros(4, np.int32), np.full(4, 0.01 * 0.02, np.float32))
        out = writer.node("Conv", [writer.read(source), weight, bias], f"{path}:linear", pads=[1] * 4)
        writer.node("LeakyRelu" if broken and path == "a" else "Relu", [out], path)
        writer.store(path)
    return writer.model(writer.read("b"), (1, 4, 8, 8))


def test_the_audit_names_the_kernel_of_every_layer() -> None:
    """An integer layer meant for integers, and none unintended."""
    audit = backend.audit(two_convs(broken=False), ["a", "b"])
    assert audit.layers == {"a": "QLinearConv", "b": "QLinearConv"}
    assert audit.unintended({"a": True, "b": True}) == []
    assert audit.kernels["QLinearConv"] == 2


def test_the_audit_finds_a_layer_that_silently_runs_in_float() -> None:
    """The one that is broken, and not its neighbour that reads its scale."""
    audit = backend.audit(two_convs(broken=True), ["a", "b"])
    assert audit.unintended({"a": True, "b": True}) == [f"a: meant for integers, runs as {audit.layers['a']}"]
    assert audit.layers["a"] in {"Conv", "FusedConv"}


def test_the_audit_finds_a_float_layer_that_runs_on_integers_and_a_missing_one() -> None:
    """Both directions, and a layer that is nowhere in the graph."""
    audit = backend.audit(two_convs(broken=False), ["a", "b"])
    assert audit.unintended({"b": False, "c": True}) == [
        "b: meant for floats, runs as QLinearConv",
        "c: no kernel found",
    ]


def test_a_layer_whose_node_is_gone_is_not_found_at_its_reader() -> None:
    """Layer a is a bare LeakyRelu here: only b, which reads its scale and zero-point, is a kernel."""
    writer = GraphWriter()
    writer.input("input", (1, 4, 8, 8))
    for tensor in ("a", "b"):
        writer.grid(tensor, 0.02 if tensor == "a" else 0.03, 128)
    writer.node("LeakyRelu", ["input"], "a")
    writer.store("a")
    weight = writer.weights("b", np.full((4, 4, 3, 3), 3, np.int8), np.full(4, 0.01, np.float32), 8)
    bias = writer.bias("b", np.zeros(4, np.int32), np.full(4, 0.01 * 0.02, np.float32))
    writer.node("Conv", [writer.read("a"), weight, bias], "b", pads=[1] * 4)
    writer.store("b")
    audit = backend.audit(writer.model(writer.read("b"), (1, 4, 8, 8)), ["a", "b"])
    assert audit.layers == {"b": "QLinearConv"}


def test_a_path_that_begins_like_another_is_not_taken_for_it() -> None:
    """``stages.0.1`` is not ``stages.0.10``; dots in a path are dots."""
    space = network(conv("s.1", "input", 4, "w8a8"), conv("s.10", "s.1", 4, "float"), *head("s.10", "w8a8"))
    model = export.onnx(random_network(space.outline.layers(NO_CHOICE), (), (1, 8, 8)))
    audit = backend.audit(model, ["s.1", "s.10", "s:1", "classifier"])
    assert (audit.layers["s.1"], audit.layers["classifier"]) == ("QLinearConv", "QGemm")
    assert audit.layers["s.10"] in {"Conv", "FusedConv"}
    assert "s:1" not in audit.layers


# --- The runtime ------------------------------------------------------------------------------------------------------


def test_many_images_are_evaluated_in_batches_of_the_model() -> None:
    """The same numbers as one call each."""
    graph = helper.make_graph(
        [helper.make_node("Flatten", ["x"], ["y"], axis=1)],
        "flat",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, (2, 1, 2, 2))],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, (2, 4))],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)], ir_version=10).SerializeToString()
    assert backend.shape_of(model)[0] == 2
    images = np.arange(16, dtype=np.float32).reshape(4, 1, 2, 2)
    assert backend.evaluate(model, images).tolist() == images.reshape(4, 4).tolist()


def test_a_prepared_call_runs_any_number_of_times() -> None:
    """Its bound memory stays alive while the call does."""
    for key in (KEYS[0], KEYS[-1]):
        call = backend.prepared(key_model(key), threads=1)
        for _ in range(3):
            call()


def test_residual_adds_of_a_hand_made_network_run_on_integers() -> None:
    """Integer add between integer convolutions, in the graph as it runs."""
    space = network(
        conv("a", "input", 16, "w8a8"),
        conv("b", "a", 16, "w8a8", activation="none"),
        Record("add", "add", ("b", "a"), activation="relu"),
        conv("c", "add", 16, "w8a8"),
        *head("c", "w8a8"),
    )
    ops = Counter(executed(export.onnx(random_network(space.outline.layers(NO_CHOICE), (), (1, 8, 8)))))
    assert (ops["QLinearConv"], ops["QLinearAdd"], ops["QLinearGlobalAveragePool"], ops["QGemm"]) == (3, 1, 1, 1)
    assert ops["Transpose"] <= 2
    assert ops["DequantizeLinear"] == 0
