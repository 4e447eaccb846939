"""Pools; padded places count for nothing."""

from __future__ import annotations

from typing import Any

from torch import nn

from spaces import Layer
from supernets.export.writer import GraphWriter
from supernets.functions.pools import pads


def pool(writer: GraphWriter, layer: Layer, module: nn.Module | None, output: str) -> str:
    """The mean over all places."""
    placed = writer.placed[layer.inputs[0]]
    if placed.form == "picture":
        writer.node("GlobalAveragePool", [writer.read(layer.inputs[0])], output)
        return "picture"
    inputs = [writer.read(layer.inputs[0], "tokens"), writer.numbers(1)]
    writer.node("ReduceMean", inputs, output, keepdims=0)
    return "vector"


def max_pool(writer: GraphWriter, layer: Layer, module: nn.Module | None, output: str) -> str:
    """The largest value in each window, of floats with floats, though it is stored in 8 bits: else the runtime rounds
    before it, and its integer kernel for channels first takes ten times as long and more."""
    x = writer.read(layer.inputs[0], "picture")
    apart = not layer.in8 and writer.stored8(output)
    writer.node("MaxPool", [x], f"{output}:max" if apart else output, **_window(layer))
    if apart:
        writer.apart(f"{output}:max", output)
    return "picture"


def avg_pool(writer: GraphWriter, layer: Layer, module: nn.Module | None, output: str) -> str:
    """The mean of each window, with floats: the runtime's integer kernel takes six times as long."""
    x = writer.read(layer.inputs[0], "picture")
    apart = layer.in8 and writer.stored8(output)
    mean = f"{output}:mean" if apart else output
    writer.node("AveragePool", [x], mean, count_include_pad=0, **_window(layer))
    if apart:
        writer.apart(mean, output)
    return "picture"


def _window(layer: Layer) -> dict[str, Any]:
    left, right, top, bottom = pads(layer)
    return {"kernel_shape": [layer.kernel] * 2, "strides": [layer.stride] * 2, "pads": [top, left, bottom, right]}
