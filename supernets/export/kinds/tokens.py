"""Layers of sequences that have parameters; they compute with floats."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from onnx import TensorProto
from torch import nn

from spaces import Layer
from supernets.export.writer import GraphWriter
from supernets.plain import ClassToken, Position


def norm(writer: GraphWriter, layer: Layer, module: nn.Module | None, output: str) -> str:
    """Layer norm, or RMS norm, over the features, which stand last in every form but a picture; one operator each."""
    assert isinstance(module, nn.LayerNorm | nn.RMSNorm)
    op = "LayerNormalization" if isinstance(module, nn.LayerNorm) else "RMSNormalization"
    placed = writer.placed[layer.inputs[0]]
    form = "rows" if placed.form == "picture" else placed.form
    inputs = [writer.constant(f"{layer.path}.{n}", v.detach().numpy()) for n, v in module.named_parameters()]
    writer.node(op, [writer.read(layer.inputs[0], form), *inputs], output, epsilon=module.eps)
    return form


def embedding(writer: GraphWriter, layer: Layer, module: nn.Module | None, output: str) -> str:
    """Rows of a table, by numbers (b, t)."""
    assert isinstance(module, nn.Embedding)
    numbers = layer.inputs[0]
    if numbers in writer.placed:  # a picture of one channel holds the numbers
        flat = writer.node("Reshape", [writer.read(numbers), writer.numbers(writer.batch, -1)], f"{output}:flat")
        numbers = writer.node("Cast", [flat], f"{output}:numbers", to=TensorProto.INT64)
    table = writer.constant(f"{layer.path}.weight", module.weight.detach().numpy())
    writer.node("Gather", [table, numbers], output)
    return "tokens"


def position(writer: GraphWriter, layer: Layer, module: nn.Module | None, output: str) -> str:
    """A vector added at each place."""
    assert isinstance(module, Position)
    form = writer.placed[layer.inputs[0]].form
    form = "tokens" if form == "rows" else form
    weight: NDArray[np.float32] = module.weight.detach().numpy()[: layer.h, : layer.w]
    weight = weight.transpose(2, 0, 1) if form == "picture" else weight.reshape(-1, weight.shape[-1])
    added = writer.constant(f"{layer.path}.weight", weight[None] if form != "vector" else weight)
    writer.node("Add", [writer.read(layer.inputs[0], form), added], output)
    return form


def class_token(writer: GraphWriter, layer: Layer, module: nn.Module | None, output: str) -> str:
    """A token before the others."""
    assert isinstance(module, ClassToken)
    token = np.tile(module.weight.detach().numpy(), (writer.batch, 1, 1))
    first = writer.constant(f"{layer.path}.weight", token)
    writer.node("Concat", [first, writer.read(layer.inputs[0], "tokens")], output, axis=1)
    return "tokens"
