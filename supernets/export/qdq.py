"""Writing ONNX graphs whose 8-bit layers ONNX Runtime runs on integer kernels.

The forms, each found by measurement (what else was tried runs in float, silently):

- a tensor stored in 8 bits is uint8 with one scale and zero-point; every reader has a DequantizeLinear of its own;
- weights are int8 initialisers with a scale per output channel; 4-bit ones INT4 initialisers behind a Cast to int8,
  which is folded at load, so they are small in the file and run on the 8-bit kernel;
- biases are int32 with scale = input scale x weight scale;
- a ReLU stands before a QuantizeLinear whose zero-point is the bottom of the range.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from spaces import Layer

OPSET = 21
IR_VERSION = 10
Floats = NDArray[np.float32]


class NotExportable(ValueError):
    """A layer that has no ONNX form yet; the message names it."""


class GraphWriter:
    """One ONNX graph in the making. Tensors go by name; ``name:q`` is the uint8 form of the tensor ``name``."""

    def __init__(self, input_name: str | None, shape: tuple[int, ...]) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.initialisers: list[onnx.TensorProto] = []
        self.inputs: list[onnx.ValueInfoProto] = []  # others than one float input are added by whoever wants them
        if input_name is not None:
            self.inputs.append(helper.make_tensor_value_info(input_name, TensorProto.FLOAT, shape))
        self._grids: dict[str, tuple[str, str]] = {}
        self._count = 0

    # -- pieces

    def node(self, op: str, inputs: list[str], output: str, **attributes: Any) -> str:
        """Add a node; returns its output's name."""
        self.nodes.append(helper.make_node(op, inputs, [output], name=f"{op}:{output}", **attributes))
        return output

    def constant(self, name: str, value: NDArray[Any]) -> str:
        """Add an initialiser."""
        self.initialisers.append(numpy_helper.from_array(np.asarray(value, order="C"), name))
        return name

    def grid(self, tensor: str, scale: float, zero_point: int) -> None:
        """Declare that ``tensor`` is stored in 8 bits with this scale and zero-point."""
        self._grids[tensor] = (
            self.constant(f"{tensor}:scale", np.array(scale, np.float32)),
            self.constant(f"{tensor}:zero_point", np.array(zero_point, np.uint8)),
        )

    def store(self, tensor: str) -> None:
        """Write the uint8 form of a float tensor whose grid is declared."""
        self.node("QuantizeLinear", [tensor, *self._grids[tensor]], f"{tensor}:q")

    def read(self, tensor: str) -> str:
        """Name of ``tensor`` as floats for one reader: from its uint8 form if it has one."""
        if tensor not in self._grids:
            return tensor
        self._count += 1
        return self.node("DequantizeLinear", [f"{tensor}:q", *self._grids[tensor]], f"{tensor}:read{self._count}")

    def alias(self, tensor: str, output: str, op: str, **attributes: Any) -> None:
        """``output`` = ``op`` (moves values, changes none) of ``tensor``, in the form that ``tensor`` has."""
        if tensor in self._grids:
            self._grids[output] = self._grids[tensor]
            self.node(op, [f"{tensor}:q"], f"{output}:q", **attributes)
        else:
            self.node(op, [tensor], output, **attributes)

    # -- layers

    def weights(self, path: str, codes: NDArray[np.int8], scale: Floats, bits: int) -> str:
        """Integer weights (c_out, ...) as floats."""
        if bits > 4:
            stored = self.constant(f"{path}.weight", codes)
        else:
            nibbles = (codes.reshape(-1) & 0xF).astype(np.uint8)
            nibbles = np.concatenate([nibbles, np.zeros(len(nibbles) % 2, np.uint8)])
            packed = (nibbles[0::2] | nibbles[1::2] << 4).tobytes()
            tensor = helper.make_tensor(f"{path}.weight", TensorProto.INT4, codes.shape, packed, raw=True)
            self.initialisers.append(tensor)
            stored = self.node("Cast", [f"{path}.weight"], f"{path}.weight:int8", to=TensorProto.INT8)
        zero = self.constant(f"{path}.weight:zero_point", np.zeros(len(scale), np.int8))
        return self.node(
            "DequantizeLinear",
            [stored, self.constant(f"{path}.weight:scale", scale), zero],
            f"{path}.weight:read",
            axis=0,
        )

    def bias(self, path: str, steps: NDArray[np.int32], scale: Floats) -> str:
        """Integer biases (c_out,) as floats."""
        inputs = [self.constant(f"{path}.bias", steps), self.constant(f"{path}.bias:scale", scale)]
        zero = self.constant(f"{path}.bias:zero_point", np.zeros(len(scale), np.int32))
        return self.node("DequantizeLinear", [*inputs, zero], f"{path}.bias:read", axis=0)

    def layer(self, layer: Layer, weight: str = "", bias: str = "") -> None:
        """Add a resolved layer, reading its inputs in the form they have; its output is ``layer.path``."""
        relu = layer.activation == "relu"
        output = f"{layer.path}:linear" if relu else layer.path
        if layer.kind == "conv":
            pad = layer.kernel // 2
            self.node(
                "Conv", [self.read(layer.inputs[0]), weight, bias], output,
                kernel_shape=[layer.kernel] * 2, strides=[layer.stride] * 2, pads=[pad] * 4,
            )  # fmt: skip
        elif layer.kind == "linear":
            self.alias(layer.inputs[0], f"{layer.path}:flat", "Flatten", axis=1)
            self.node("Gemm", [self.read(f"{layer.path}:flat"), weight, bias], output, transB=1)
        elif layer.kind == "add":
            self.node("Add", [self.read(name) for name in layer.inputs], output)
        elif layer.kind == "pool":
            self.node("GlobalAveragePool", [self.read(layer.inputs[0])], output)
        else:
            raise NotExportable(f"{layer.path}: no ONNX form for a layer of kind {layer.kind}")
        if relu:
            self.node("Relu", [output], layer.path)
        if layer.path in self._grids:
            self.store(layer.path)

    def model(
        self, output: str, shape: tuple[int, ...], dtype: int = TensorProto.FLOAT,
        metadata: Mapping[str, str] | None = None,
    ) -> bytes:  # fmt: skip
        """The checked model, serialised. ``output`` must exist as a float tensor (or of ``dtype``)."""
        outputs = [helper.make_tensor_value_info(output, dtype, shape)]
        graph = helper.make_graph(self.nodes, "network", self.inputs, outputs, self.initialisers)
        model = helper.make_model(
            graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR_VERSION, producer_name="nas"
        )
        helper.set_model_props(model, dict(metadata or {}))
        onnx.checker.check_model(model)
        return bytes(model.SerializeToString())
