"""ONNX Runtime on the CPU: sessions, calls to time, the kernels that a session really runs, and its precision menu."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime as ort
from numpy.typing import NDArray
from onnx import TensorProto

from predictors.latency.backends.base import Audit, Backend, Kernel, sample
from predictors.latency.backends.onnx_file import MENU, named, shape_of
from spaces.precision import in_blocks
from supernets import export
from supernets.export.onnx import BLOCKS

_DISABLED = "WeightBiasQuantization"
_TYPES: dict[str, type] = {"tensor(uint8)": np.uint8, "tensor(int64)": np.int64, "tensor(float)": np.float32}
_BITS = {TensorProto.FLOAT: 32, TensorProto.INT8: 8, TensorProto.UINT8: 8, TensorProto.INT4: 4, TensorProto.INT2: 2}
_INTEGER = frozenset(
    ("QLinearConv", "QGemm", "QLinearMatMul", "ConvInteger", "MatMulIntegerToFloat", "DynamicQuantizeMatMul")
)
_BLOCKS = "MatMulNBits"
_COMPUTING = _INTEGER | {"Conv", "FusedConv", "Gemm", "FusedGemm", "MatMul", _BLOCKS}
_IN_BLOCKS = [in_blocks(bits, group).name for bits, groups in BLOCKS.items() for group in groups]
_LINEAR = {**MENU, **{name: Kernel("real", name, _BLOCKS) for name in _IN_BLOCKS}}


def options(threads: int) -> Any:
    """Session options for measuring and running.

    WeightBiasQuantization would silently turn float layers between integer ones into integer ones; spinning threads
    of other sessions would disturb the measured one.
    """
    made = ort.SessionOptions()
    made.intra_op_num_threads = threads
    made.inter_op_num_threads = 1
    made.log_severity_level = 3
    made.add_session_config_entry("optimization.disable_specified_optimizers", _DISABLED)
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
    kept = []  # the binding holds addresses only
    for wanted in made.get_inputs():
        kept.append(ort.OrtValue.ortvalue_from_numpy(sample(wanted.shape, _TYPES[wanted.type])))
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
    """Outputs (n, ...) of a model for ``images`` (n, ...); n a multiple of the examples per call, if they are fixed."""
    made = session(model, threads)
    wanted = made.get_inputs()[0]
    batch = wanted.shape[0] if isinstance(wanted.shape[0], int) else len(images)
    parts = [made.run(None, {wanted.name: images[i : i + batch]})[0] for i in range(0, len(images), batch)]
    return np.concatenate(parts)


def optimised(model: bytes, threads: int = 1) -> onnx.ModelProto:
    """The graph as the session runs it, after all of the runtime's rewriting."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "optimised.onnx"
        made = options(threads)
        made.optimized_model_filepath = str(path)
        ort.InferenceSession(model, made, providers=["CPUExecutionProvider"])
        return onnx.load(str(path))


def audit(
    model: bytes, paths: Sequence[str], threads: int = 1, after: Mapping[str, Sequence[str]] | None = None
) -> Audit:
    """See :meth:`Backend.audit`."""
    nodes = optimised(model, threads).graph.node
    kernels: dict[str, int] = {}
    for node in nodes:
        kernels[node.op_type] = kernels.get(node.op_type, 0) + 1
    computing = [node for node in nodes if node.op_type in _COMPUTING]
    layers = {}
    for path in paths:
        names = (path, *(after or {}).get(path, ()))
        mine = [node for name in names for node in computing if named(node.name, name)]
        mine = mine or [node for node in computing if _weighs(node, path)]
        if mine:
            layers[path] = mine[0].op_type
    return Audit(kernels, layers, _INTEGER)


def weight_bits(model: bytes, path: str, threads: int = 1) -> int:
    """Bits of each weight of a layer as its kernel reads it, 32 of floats; 0 if no kernel is found.

    What a file packs into fewer bits, the runtime unpacks when it loads it.
    """
    graph = optimised(model, threads).graph
    types = {constant.name: constant.data_type for constant in graph.initializer}
    for node in graph.node:
        if node.op_type in _COMPUTING and (named(node.name, path) or _weighs(node, path)):
            if node.op_type == _BLOCKS:
                return next(int(given.i) for given in node.attribute if given.name == "bits")
            mine = [name for name in node.input if name.startswith(f"{path}.weight") and name in types]
            found = {_BITS.get(types[name], 0) for name in mine}  # of integers there are scales besides, of floats
            return min(found, default=0)
    return 0


def _weighs(node: onnx.NodeProto, path: str) -> bool:
    """Whether a node holds the weights of the layer. Its scales and zero-points tell nothing: readers have them too."""
    return any(
        name == f"{path}.weight" or name.startswith((f"{path}.weight:int8", f"{path}.weight_")) for name in node.input
    )


class OnnxRuntime(Backend):
    """The default: integer kernels for 8 bits, the most additive, and the one that says best what it runs."""

    NAME, MENU, ADDITIVE = "onnxruntime", MENU, True
    exported = staticmethod(export.onnx)
    shape_of = staticmethod(shape_of)
    prepared = staticmethod(prepared)
    evaluate = staticmethod(evaluate)
    audit = staticmethod(audit)
    weight_bits = staticmethod(weight_bits)

    def menu(self, operator: str) -> Mapping[str, Kernel]:
        """See :class:`Backend`: linear layers may have weights in blocks too."""
        return _LINEAR if operator == "linear" else MENU

    def fingerprint(self) -> dict[str, str]:
        """See :class:`Backend`."""
        return {
            "onnxruntime": version("onnxruntime"),
            "onnx": version("onnx"),
            "disabled_optimizers": _DISABLED,
        }
