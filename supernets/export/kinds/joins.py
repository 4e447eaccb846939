"""Layers of several inputs, and those that pick one."""

from __future__ import annotations

import numpy as np
from onnx import TensorProto, helper
from torch import nn

from spaces import INPUT, Layer
from supernets.export.writer import GraphWriter


def add(writer: GraphWriter, layer: Layer, module: nn.Module | None, output: str) -> str:
    """The sum of all inputs; of two that are stored in 8 bits it becomes QLinearAdd."""
    form = _common(writer, layer)
    total, *others = [writer.read(name, form) for name in layer.inputs]
    for i, other in enumerate(others):
        total = writer.node("Add", [total, other], output if i == len(others) - 1 else f"{output}:{i}")
    if not others:
        writer.node("Identity", [total], output)
    return form


def multiply(writer: GraphWriter, layer: Layer, module: nn.Module | None, output: str) -> str:
    """By a gate."""
    form = _common(writer, layer)
    writer.node("Mul", [writer.read(name, form) for name in layer.inputs], output)
    return form


def concat(writer: GraphWriter, layer: Layer, module: nn.Module | None, output: str) -> str:
    """Channels of one after those of the other."""
    form = writer.placed[layer.inputs[0]].form
    inputs = [writer.read(name, form) for name in layer.inputs]
    writer.node("Concat", inputs, output, axis=1 if form == "picture" else -1)
    return form


def append(writer: GraphWriter, layer: Layer, module: nn.Module | None, output: str) -> str:
    """Tokens of one after those of the other; of pictures, below it."""
    form = "picture" if writer.placed[layer.inputs[0]].form == "picture" else "tokens"
    inputs = [writer.read(name, form) for name in layer.inputs]
    writer.node("Concat", inputs, output, axis=2 if form == "picture" else 1)
    return form


def channel(writer: GraphWriter, layer: Layer, module: nn.Module | None, output: str) -> str:
    """One of the sequences (b, sequences, t) of the network's input."""
    assert layer.inputs == (INPUT,)
    at = writer.constant(f"{layer.path}.sequence", np.array(layer.rows, np.int64))
    writer.node("Gather", [INPUT, at], output, axis=1)
    return "numbers"


def zero(writer: GraphWriter, layer: Layer, module: nn.Module | None, output: str) -> str:
    """Zeros in the shape of the output."""
    value = helper.make_tensor("zero", TensorProto.FLOAT, [1], [0.0])
    shape = writer.numbers(writer.batch, layer.c_out, layer.out_h, layer.out_w)
    writer.node("ConstantOfShape", [shape], output, value=value)
    return "picture"


def _common(writer: GraphWriter, layer: Layer) -> str:
    """The form of the first input; rows cannot be joined with an input that has one place for all of them."""
    first, *others = [writer.placed[name] for name in layer.inputs]
    alike = all(other.places == first.places for other in others)
    return "tokens" if first.form == "rows" and not alike else first.form
