"""One operation of a traced network, as the function that writes it sees it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from onnx import TensorProto
from torch import Tensor

from supernets.export.writer import GraphWriter

TYPES: Mapping[torch.dtype, int] = {
    torch.float32: TensorProto.FLOAT, torch.float64: TensorProto.DOUBLE, torch.float16: TensorProto.FLOAT16,
    torch.int64: TensorProto.INT64, torch.int32: TensorProto.INT32, torch.int8: TensorProto.INT8,
    torch.uint8: TensorProto.UINT8, torch.bool: TensorProto.BOOL,
}  # fmt: skip


class NotExportable(ValueError):
    """A layer that has no ONNX form; the message names it."""


@dataclass(frozen=True)
class Operand:
    """A tensor as an argument: its ``name`` in the graph, and a ``value`` of its shape and type.

    Of a ``constant``, which no input changes, the value is the value.
    """

    name: str
    value: Tensor
    constant: bool = False


@dataclass(frozen=True)
class Site:
    """An operation at ``path``, called ``op`` (``aten.add.Tensor``), with operands for tensors among its arguments.

    ``made`` is what torch gives: tensors of the shapes and types, if not of the values.
    """

    writer: GraphWriter
    path: str
    op: str
    args: tuple[Any, ...]
    options: Mapping[str, Any]
    made: Any
    _steps: list[str] = field(default_factory=list)

    def at(self, place: int, name: str, otherwise: Any = None) -> Any:
        """An argument by its place or its name."""
        return self.args[place] if len(self.args) > place else self.options.get(name, otherwise)

    def write(self, op: str, *inputs: str, **attributes: Any) -> str:
        """The node whose output is that of the operation."""
        return self.writer.node(op, list(inputs), self.path, **attributes)

    def step(self, op: str, *inputs: str, **attributes: Any) -> str:
        """A node before it; returns its output's name."""
        self._steps.append(op)
        return self.writer.node(op, list(inputs), f"{self.path}:{len(self._steps)}", **attributes)

    def read(self, value: Any, dtype: torch.dtype | None = None) -> str:
        """Name of an operand, or of a number as a constant, in this type (default: its own)."""
        if not isinstance(value, Operand):
            return self.constant(torch.tensor(value, dtype=dtype))
        if value.constant:
            name = value.name if dtype in (None, value.value.dtype) else f"{value.name}:{dtype}"
            array = value.value.detach() if dtype is None else value.value.detach().to(dtype)
            return self.writer.constant(name, array.numpy())
        name = self.writer.read(value.name)
        return name if dtype in (None, value.value.dtype) else self.step("Cast", name, to=TYPES[dtype])

    def constant(self, value: Tensor) -> str:
        """Name of a constant; equal numbers are one."""
        if value.numel() == 1:
            return self.writer.constant(f"number:{value.dtype}{list(value.shape)}:{value.item()}", value.numpy())
        self._steps.append("constant")
        return self.writer.constant(f"{self.path}:{len(self._steps)}", value.numpy())

    def numbers(self, values: Sequence[int]) -> str:
        """Name of a constant of whole numbers."""
        return self.writer.numbers(*values) if len(values) else self.writer.constant("none", np.zeros(0, np.int64))

    def shaped(self, name: str, shape: Sequence[int]) -> str:
        """The result is the tensor ``name`` in another shape."""
        return self.write("Reshape", name, self.numbers(tuple(shape)))

    def refused(self, why: str, instead: str = "write it with other operations of torch") -> NotExportable:
        """The error for what has no form."""
        return NotExportable(f"{self.path}: {self.op} {why} has no ONNX form: {instead} [not-exportable]")
