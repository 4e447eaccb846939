"""Layers that move values and change none, and those that repeat them."""

from __future__ import annotations

import numpy as np
from torch import nn

from spaces import Layer
from supernets.export.writer import GraphWriter


def activation(writer: GraphWriter, layer: Layer, module: nn.Module | None, output: str) -> str:
    """Its input: the function is a field of every layer."""
    writer.node("Identity", [writer.read(layer.inputs[0])], output)
    return writer.placed[layer.inputs[0]].form


def flatten(writer: GraphWriter, layer: Layer, module: nn.Module | None, output: str) -> str:
    """All values as one vector, channel by channel."""
    writer.node("Flatten", [writer.read(layer.inputs[0], "picture")], output, axis=1)
    return "vector"


def tokens(writer: GraphWriter, layer: Layer, module: nn.Module | None, output: str) -> str:
    """Places become tokens."""
    writer.node("Identity", [writer.read(layer.inputs[0], "tokens")], output)
    return "tokens"


def first(writer: GraphWriter, layer: Layer, module: nn.Module | None, output: str) -> str:
    """The first token."""
    at = writer.constant("number:0", np.array(0, np.int64))
    writer.node("Gather", [writer.read(layer.inputs[0], "tokens"), at], output, axis=1)
    return "vector"


def upsample(writer: GraphWriter, layer: Layer, module: nn.Module | None, output: str) -> str:
    """Each place several times."""
    scales = writer.constant(f"{layer.path}.scales", np.array([1, 1, layer.stride, layer.stride], np.float32))
    writer.node(
        "Resize", [writer.read(layer.inputs[0], "picture"), "", scales], output,
        mode="nearest", coordinate_transformation_mode="asymmetric", nearest_mode="floor",
    )  # fmt: skip
    return "picture"


def shuffle(writer: GraphWriter, layer: Layer, module: nn.Module | None, output: str) -> str:
    """Pixel shuffle."""
    writer.node("DepthToSpace", [writer.read(layer.inputs[0], "picture")], output, blocksize=layer.stride, mode="CRD")
    return "picture"
