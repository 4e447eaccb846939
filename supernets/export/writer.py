"""Writing ONNX graphs whose 8-bit layers ONNX Runtime runs on integer kernels.

The forms, each found by measurement (what else was tried runs in float, silently):

- a tensor stored in 8 bits is uint8 with one scale and zero-point; every reader has a DequantizeLinear of its own;
- weights are int8 initialisers with a scale per output channel; 4-bit ones INT4 initialisers behind a Cast to int8,
  which is folded at load, so they are small in the file and run on the 8-bit kernel;
- biases are int32 with scale = input scale x weight scale;
- a ReLU stands before a QuantizeLinear whose zero-point is the bottom of the range; before any other activation
  function the sums of a convolution are stored in 8 bits;
- a linear layer is a Gemm over rows, also of tokens: a MatMul with an Add after it becomes a Gemm of floats;
- one of weights in blocks is a MatMulNBits of accuracy level 4, whose kernel rounds rows to 8 bits by the same blocks.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

IR_VERSION, OPSET = 10, 21
NEWER_IR_VERSION, NEWER_OPSET = 11, 23
NEWER = frozenset({"Attention", "RMSNormalization", "RotaryEmbedding"})
"""Operators that the newer set is the first to have."""
Floats = NDArray[np.float32]


@dataclass(frozen=True)
class Placed:
    """How a tensor of c channels at h x w places lies.

    ``picture`` (b, c, h, w), ``tokens`` (b, h w, c), ``rows`` (b h w, c), or ``vector`` (b, c) of one place. ``means``
    is which of them but rows the torch network has.
    """

    form: str
    means: str
    c: int
    h: int
    w: int

    @property
    def places(self) -> int:
        """How many."""
        return self.h * self.w

    def shape(self, form: str, batch: int) -> tuple[int, ...]:
        """In this form."""
        shapes = {
            "picture": (batch, self.c, self.h, self.w),
            "tokens": (batch, self.places, self.c),
            "rows": (batch * self.places, self.c),
            "vector": (batch, self.c),
        }
        return shapes[form]


class GraphWriter:
    """One ONNX graph in the making. Tensors go by name; ``name:q`` is the uint8 form of the tensor ``name``."""

    def __init__(self, batch: int = 1) -> None:
        self.batch = batch
        self.nodes: list[onnx.NodeProto] = []
        self.initialisers: list[onnx.TensorProto] = []
        self.inputs: list[onnx.ValueInfoProto] = []
        self.placed: dict[str, Placed] = {}
        self.made: set[str] = set()  # outputs of nodes
        self._grids: dict[str, tuple[str, str]] = {}
        self.codes: set[str] = set()  # constants that are integer weights
        self._constants: set[str] = set()
        self._reads = 0

    # -- pieces

    def input(self, name: str, shape: tuple[int, ...], dtype: int = TensorProto.FLOAT) -> None:
        """Declare an input of the model."""
        self.inputs.append(helper.make_tensor_value_info(name, dtype, shape))

    def node(self, op: str, inputs: list[str], output: str, **attributes: Any) -> str:
        """Add a node; returns its output's name."""
        self.nodes.append(helper.make_node(op, inputs, [output], name=f"{op}:{output}", **attributes))
        self.made.add(output)
        return output

    def constant(self, name: str, value: NDArray[Any]) -> str:
        """Add an initialiser; one of the same name is taken to be the same."""
        if name not in self._constants:
            self._constants.add(name)
            self.initialisers.append(numpy_helper.from_array(np.asarray(value, order="C"), name))
        return name

    def numbers(self, *values: int) -> str:
        """A constant of whole numbers."""
        return self.constant("numbers:" + ",".join(map(str, values)), np.array(values, np.int64))

    def apart(self, tensor: str, output: str) -> str:
        """``tensor`` under another name, so that the runtime does not fuse across it; a Max of one stays."""
        return self.node("Max", [tensor], output)

    # -- tensors stored in 8 bits

    def grid(self, tensor: str, scale: float, zero_point: int) -> None:
        """Declare that ``tensor`` is stored in 8 bits with this scale and zero-point."""
        self._grids[tensor] = (
            self.constant(f"{tensor}:scale", np.array(scale, np.float32)),
            self.constant(f"{tensor}:zero_point", np.array(zero_point, np.uint8)),
        )

    def same_grid(self, tensor: str, other: str) -> None:
        """Declare that ``tensor`` is stored as ``other`` is, if that is stored in 8 bits."""
        if other in self._grids:
            self._grids[tensor] = self._grids[other]

    def stored8(self, tensor: str) -> bool:
        """Whether it is."""
        return tensor in self._grids

    def store(self, tensor: str) -> None:
        """Write the uint8 form of a float tensor whose grid is declared."""
        self.node("QuantizeLinear", [tensor, *self._grids[tensor]], f"{tensor}:q")

    def read(self, tensor: str, form: str | None = None) -> str:
        """Name of ``tensor`` as floats for one reader, from its uint8 form if it has one, lying as ``form`` says."""
        tensor = tensor if form is None else self.view(tensor, form)
        if tensor not in self._grids:
            return tensor
        self._reads += 1
        return self.node("DequantizeLinear", [f"{tensor}:q", *self._grids[tensor]], f"{tensor}:read{self._reads}")

    def view(self, tensor: str, form: str) -> str:
        """Name of ``tensor`` lying as ``form``; values move in the form that they are stored in."""
        placed = self.placed[tensor]
        if form == placed.form or ({form, placed.form} == {"rows", "vector"} and placed.places == 1):
            return tensor
        output = f"{tensor}:{form}"
        if output in self.placed:
            return output
        self.placed[output] = Placed(form, placed.means, placed.c, placed.h, placed.w)
        shape = self.numbers(*placed.shape(form, self.batch))
        if "picture" not in (form, placed.form) or placed.places == 1:
            self.moved(tensor, output, "Reshape", [shape])
        elif form == "picture":
            high = self.moved(tensor, f"{output}:high", "Reshape", [self.numbers(*self._channels_last(placed))])
            self.moved(high, output, "Transpose", perm=[0, 3, 1, 2])
        else:
            high = self.moved(tensor, f"{output}:high", "Transpose", perm=[0, 2, 3, 1])
            self.moved(high, output, "Reshape", [shape])
        return output

    def _channels_last(self, placed: Placed) -> tuple[int, int, int, int]:
        return self.batch, placed.h, placed.w, placed.c

    def moved(self, tensor: str, output: str, op: str, others: list[str] | None = None, **attributes: Any) -> str:
        """``tensor`` with its values at other places, in the form that it is stored in."""
        self.made.add(output)
        if tensor in self._grids:
            self._grids[output] = self._grids[tensor]
            self.node(op, [f"{tensor}:q", *(others or [])], f"{output}:q", **attributes)
        else:
            self.node(op, [tensor, *(others or [])], output, **attributes)
        return output

    # -- integers

    def weights(self, path: str, codes: NDArray[np.int8], scale: Floats, bits: int) -> str:
        """Integer weights (c_out, ...) as floats."""
        self.codes.add(f"{path}.weight")
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

    def blocks(self, path: str, codes: NDArray[np.int8], scale: Floats, bits: int) -> list[str]:
        """Weights (n, k) with a scale (n, k / block) each as MatMulNBits has them: ``bits`` each, the first one lowest,
        with the code of zero in the middle."""
        self.codes.add(f"{path}.weight")
        per_byte = 8 // bits
        above = (codes.astype(np.int16) + 2 ** (bits - 1)).astype(np.uint8).reshape(*scale.shape, -1, per_byte)
        packed = np.zeros(above.shape[:-1], np.uint8)
        for i in range(per_byte):
            packed |= above[..., i] << (bits * i)
        return [self.constant(f"{path}.weight", packed), self.constant(f"{path}.weight:scale", scale)]

    def bias(self, path: str, steps: NDArray[np.int32], scale: Floats) -> str:
        """Integer biases (c_out,) as floats."""
        inputs = [self.constant(f"{path}.bias", steps), self.constant(f"{path}.bias:scale", scale)]
        zero = self.constant(f"{path}.bias:zero_point", np.zeros(len(scale), np.int32))
        return self.node("DequantizeLinear", [*inputs, zero], f"{path}.bias:read", axis=0)

    # -- the whole

    def model(
        self, output: str, shape: tuple[int, ...], dtype: int = TensorProto.FLOAT,
        metadata: Mapping[str, str] | None = None, more: Sequence[tuple[str, tuple[int, ...], int]] = (),
    ) -> bytes:  # fmt: skip
        """The checked model, serialised. ``output`` must exist, of ``dtype``; so must ``more`` of them."""
        declared = ((output, shape, dtype), *more)
        outputs = [helper.make_tensor_value_info(name, of, sizes) for name, sizes, of in declared]
        graph = helper.make_graph(self.nodes, "network", self.inputs, outputs, self.initialisers)
        newer = any(node.op_type in NEWER for node in self.nodes)
        own = sorted({node.domain for node in self.nodes if node.domain})
        model = helper.make_model(
            graph,
            opset_imports=[
                helper.make_opsetid("", NEWER_OPSET if newer else OPSET),
                *[helper.make_opsetid(domain, 1) for domain in own],
            ],
            ir_version=NEWER_IR_VERSION if newer else IR_VERSION,
            producer_name="nas",
        )
        helper.set_model_props(model, dict(metadata or {}))
        onnx.checker.check_model(model)
        return bytes(model.SerializeToString())
