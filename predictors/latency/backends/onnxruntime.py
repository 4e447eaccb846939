"""ONNX Runtime on the CPU: sessions, calls to time, the kernels that a session really runs, and its precision menu."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime as ort
from numpy.typing import NDArray

from spaces import Layer
from spaces.layers import WEIGHTED
from spaces.precision import Precision
from supernets.graph import live

NAME = "onnxruntime"


@dataclass(frozen=True)
class Kernel:
    """How the device runs a precision: ``real`` on a kernel of its own, ``container`` stored small, run as another."""

    form: str
    executed_as: str


MENU: dict[str, Kernel] = {
    "float": Kernel("real", "float"),
    "w8a8": Kernel("real", "w8a8"),
    "w4a8": Kernel("container", "w8a8"),
    "w2a8": Kernel("container", "w8a8"),
}
"""Precision -> kernel, for convolutions and linear layers."""


def kernel(precision: Precision) -> Kernel | None:
    """How the device runs a layer of this precision; ``None``: it cannot, and whoever computes it simulates.

    How a scale was found, and how its values were rounded in training, is nothing to a kernel.
    """
    weight, given = precision.weight, precision.input
    if weight is None or given is None:
        return None if precision.quantized else MENU["float"]
    return MENU.get(f"w{weight.bits}a{given.bits}") if precision.integer else None


_TYPES: dict[str, type] = {"tensor(uint8)": np.uint8, "tensor(int64)": np.int64, "tensor(float)": np.float32}
_INTEGER = {"QLinearConv", "QGemm", "QLinearMatMul", "ConvInteger", "MatMulIntegerToFloat", "DynamicQuantizeMatMul"}
_FLOAT = {"Conv", "FusedConv", "Gemm", "FusedGemm", "MatMul"}


def options(threads: int) -> Any:
    """Session options for measuring and running.

    WeightBiasQuantization would silently turn float layers between integer ones into integer ones; spinning threads
    of other sessions would disturb the measured one.
    """
    made = ort.SessionOptions()
    made.intra_op_num_threads = threads
    made.inter_op_num_threads = 1
    made.log_severity_level = 3
    made.add_session_config_entry("optimization.disable_specified_optimizers", "WeightBiasQuantization")
    if threads > 1:
        made.add_session_config_entry("session.intra_op.allow_spinning", "0")
    return made


def session(model: bytes, threads: int = 1) -> Any:
    """A fresh session. Raises onnxruntime's error for a model that it cannot load."""
    return ort.InferenceSession(model, options(threads), providers=["CPUExecutionProvider"])


def prepared(model: bytes, threads: int) -> Callable[[], None]:
    """One inference on fixed random input as a call: inputs and outputs are bound once, nothing is copied."""
    made = session(model, threads)
    binding = made.io_binding()
    rng = np.random.default_rng(0)
    kept = []  # the binding holds addresses only
    for wanted in made.get_inputs():
        shape = tuple(wanted.shape)
        if wanted.type == "tensor(uint8)":
            value: NDArray[Any] = rng.integers(0, 256, shape).astype(np.uint8)
        elif wanted.type == "tensor(int64)":
            value = np.zeros(shape, np.int64)  # a token that every vocabulary has
        else:
            value = rng.normal(size=shape).astype(np.float32)
        kept.append(ort.OrtValue.ortvalue_from_numpy(value))
        binding.bind_ortvalue_input(wanted.name, kept[-1])
    for given in made.get_outputs():
        dtype = _TYPES[given.type]
        kept.append(ort.OrtValue.ortvalue_from_shape_and_type(tuple(given.shape), dtype))
        binding.bind_ortvalue_output(given.name, kept[-1])
    run = made.run_with_iobinding

    def call(_kept: list[Any] = kept) -> None:
        run(binding)

    return call


def evaluate(model: bytes, images: NDArray[np.float32], threads: int = 1) -> NDArray[np.float32]:
    """Outputs (n, classes) of a model of fixed batch size for ``images`` (n, c, h, w); n a multiple of the batch."""
    made = session(model, threads)
    wanted = made.get_inputs()[0]
    batch = wanted.shape[0]
    parts = [made.run(None, {wanted.name: images[i : i + batch]})[0] for i in range(0, len(images), batch)]
    return np.concatenate(parts)


def shape_of(model: bytes) -> tuple[int, ...]:
    """Of the input of a model of fixed sizes, examples per call first."""
    shape = onnx.load_from_string(model).graph.input[0].type.tensor_type.shape
    return tuple(int(size.dim_value) for size in shape.dim)


def batch_of(model: bytes) -> int:
    """Examples per call of a model of fixed batch size."""
    return shape_of(model)[0]


def optimised(model: bytes, threads: int = 1) -> onnx.ModelProto:
    """The graph as the session runs it, after all of the runtime's rewriting."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "optimised.onnx"
        made = options(threads)
        made.optimized_model_filepath = str(path)
        ort.InferenceSession(model, made, providers=["CPUExecutionProvider"])
        return onnx.load(str(path))


@dataclass(frozen=True)
class Audit:
    """What a session runs. ``kernels``: how many nodes of each type; ``layers``: the type that runs each layer."""

    kernels: dict[str, int]
    layers: dict[str, str]

    def unintended(self, integer: dict[str, bool]) -> list[str]:
        """What differs from the intention ``path -> runs on integers``, in words; empty if nothing does."""
        found = []
        for path, wanted in integer.items():
            op = self.layers.get(path)
            if op is None:
                found.append(f"{path}: no kernel found")
            elif wanted != (op in _INTEGER):
                found.append(f"{path}: meant for {'integers' if wanted else 'floats'}, runs as {op}")
        return found


def audited(model: bytes, layers: Sequence[Layer], threads: int = 1) -> tuple[Audit, list[str]]:
    """The audit of a network's layers with weights, and what of it is unintended."""
    needed = live(layers)
    weighted = [y for y in layers if y.kind in WEIGHTED and y.path in needed]
    functions = [y for y in layers if y.kind in ("activation", "batch_norm", "call")]
    after = {y.path: [f.path for f in functions if y.path in f.inputs] for y in weighted}
    found = audit(model, [y.path for y in weighted], threads, after)
    return found, found.unintended({y.path: y.runs8 for y in weighted})


def audit(
    model: bytes, paths: Sequence[str], threads: int = 1, after: Mapping[str, Sequence[str]] | None = None
) -> Audit:
    """The executed kernels, and which of them runs the layer of each path.

    ``after``: path -> layers that read it, activation functions and scales, whose names a kernel has that computes
    them as well.
    """
    nodes = optimised(model, threads).graph.node
    kernels: dict[str, int] = {}
    for node in nodes:
        kernels[node.op_type] = kernels.get(node.op_type, 0) + 1
    computing = [node for node in nodes if node.op_type in _INTEGER | _FLOAT]
    layers = {}
    for path in paths:
        names = (path, *(after or {}).get(path, ()))
        mine = [node for name in names for node in computing if _named(node, name)]
        mine = mine or [node for node in computing if _weighs(node, path)]
        if mine:
            layers[path] = mine[0].op_type
    return Audit(kernels, layers)


def _named(node: onnx.NodeProto, path: str) -> bool:
    """Whether it has the name of the layer: the runtime's names derive from ours."""
    return re.search(rf"(?:^|[: ]){re.escape(path)}(?:$|[:_])", node.name) is not None


def _weighs(node: onnx.NodeProto, path: str) -> bool:
    """Whether a node holds the weights of the layer. Its scales and zero-points tell nothing: readers have them too."""
    return any(
        name == f"{path}.weight" or name.startswith((f"{path}.weight:int8", f"{path}.weight_")) for name in node.input
    )
