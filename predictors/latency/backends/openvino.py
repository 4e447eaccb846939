"""OpenVINO on the CPU (extra ``openvino``): the same ONNX files, and floats in bf16 where that is asked for.

What a layer takes alone says little of a network here: a call has an overhead of its own, and conversions between
layouts come and go with their neighbours. So only whole networks are timed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from importlib.metadata import version
from typing import Any

import numpy as np
import openvino as ov
from numpy.typing import NDArray

from predictors.latency.backends.base import Audit, Backend, sample
from predictors.latency.backends.onnx_file import MENU, named, shape_of
from spaces import Space
from supernets import export
from supernets.plain import Network

_COMPUTING = frozenset({"Convolution", "FullyConnected", "MatMul"})
_BESIDES = frozenset({"Input", "Output", "Const"})
_INTEGERS = frozenset({"i8", "u8"})
_BITS = {"i8": 8, "u8": 8, "i4": 4, "u4": 4}
_OPTIONS = {
    "PERFORMANCE_HINT": "LATENCY",
    "NUM_STREAMS": "1",
    "ENABLE_CPU_PINNING": "NO",  # sessions side by side would all be pinned to the same core
    "DYNAMIC_QUANTIZATION_GROUP_SIZE": "0",  # float layers stay float
}


class OpenVino(Backend):
    """One stream; whole networks only. Left to itself the library would compute floats in bf16 where it can."""

    NAME = "openvino"
    FLOATS = ("f32", "bf16")
    MENU = MENU
    shape_of = staticmethod(shape_of)

    def check(self, space: Space) -> None:
        """See :class:`Backend`: of blocks it would read the weights, and leave rows as they are."""
        super().check(space)
        for path, precisions in space.precisions.items():
            for precision in precisions:
                if precision.blockwise:
                    raise export.NotExportable(
                        f"space {space.name}: {self.without_kernel(path, precision)} [not-exportable]"
                    )

    def exported(self, network: Network, batch: int = 1, metadata: Mapping[str, str] | None = None) -> bytes:
        """See :class:`Backend`."""
        for y in network.layers:
            if y.precision.blockwise:
                raise export.NotExportable(self.without_kernel(y.path, y.precision))
        return export.onnx(network, batch, metadata)

    def fingerprint(self) -> dict[str, str]:
        """See :class:`Backend`."""
        return {"openvino": version("openvino"), "onnx": version("onnx"), "floats": self.floats}

    def prepared(self, model: bytes, threads: int) -> Callable[[], None]:
        """See :class:`Backend`."""
        compiled = self._compiled(model, threads)
        request = compiled.create_infer_request()
        for wanted in compiled.inputs:
            request.set_tensor(wanted, ov.Tensor(sample(wanted.shape, wanted.element_type.to_dtype())))
        infer = request.infer

        def call() -> None:
            infer(share_outputs=True)

        return call

    def evaluate(self, model: bytes, images: NDArray[np.float32], threads: int = 1) -> NDArray[np.float32]:
        """See :class:`Backend`."""
        compiled = self._compiled(model, threads)
        request, batch = compiled.create_infer_request(), compiled.inputs[0].shape[0]
        parts = [np.array(request.infer(images[i : i + batch])[0]) for i in range(0, len(images), batch)]
        return np.concatenate(parts)

    def audit(
        self, model: bytes, paths: Sequence[str], threads: int = 1, after: Mapping[str, Sequence[str]] | None = None
    ) -> Audit:
        """See :class:`Backend`. A kernel is a kind of layer with the primitive that runs it."""
        kernels: dict[str, int] = {}
        integers: set[str] = set()
        nodes = self._nodes(model, threads)
        for _, about in nodes:
            if about["layerType"] not in _BESIDES:
                kernels[_kernel(about)] = kernels.get(_kernel(about), 0) + 1
                integers |= {_kernel(about)} if about["runtimePrecision"] in _INTEGERS else set()
        found = {path: _computing(nodes, path) for path in paths}
        layers = {path: _kernel(node[1]) for path, node in found.items() if node is not None}
        return Audit(kernels, layers, frozenset(integers))

    def weight_bits(self, model: bytes, path: str, threads: int = 1) -> int:
        """See :class:`Backend`."""
        found = _computing(self._nodes(model, threads), path)
        if found is None:
            return 0
        weight = found[0].input_value(1).get_node().get_rt_info()
        return _BITS.get(weight["outputPrecisions"].astype(str), 0)

    def _compiled(self, model: bytes, threads: int) -> Any:
        core = ov.Core()
        options = {**_OPTIONS, "INFERENCE_NUM_THREADS": str(threads), "INFERENCE_PRECISION_HINT": self.floats}
        return core.compile_model(core.read_model(model), "CPU", options)

    def _nodes(self, model: bytes, threads: int) -> list[tuple[Any, dict[str, str]]]:
        """Every node of the graph that runs, with what the runtime says of it."""
        nodes = self._compiled(model, threads).get_runtime_model().get_ordered_ops()
        return [(node, {key: value.astype(str) for key, value in node.get_rt_info().items()}) for node in nodes]


def _kernel(about: Mapping[str, str]) -> str:
    return f"{about['layerType']} {about['primitiveType']}"


def _computing(nodes: Sequence[tuple[Any, dict[str, str]]], path: str) -> tuple[Any, dict[str, str]] | None:
    """The node that runs the layer, with what is said of it: a node keeps the names of all that it was made of."""
    computing = [(node, about) for node, about in nodes if about["layerType"] in _COMPUTING]
    for node, about in computing:
        first, *_ = [*about["originalLayersNames"].split(","), ""]
        if named(node.get_friendly_name(), path) or named(first, path):
            return node, about
    return None
