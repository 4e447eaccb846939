"""What backends that read ONNX share: a file's shape, and which of their kernels is which of our layers."""

from __future__ import annotations

import re

import onnx

from predictors.latency.backends.base import Kernel

MENU: dict[str, Kernel] = {
    "float": Kernel("real", "float"),
    "w8a8": Kernel("real", "w8a8"),
    "w4a8": Kernel("container", "w8a8"),
    "w2a8": Kernel("container", "w8a8"),
}
"""Precision -> kernel, for convolutions and linear layers as we write them."""


def shape_of(model: bytes) -> tuple[int, ...]:
    """Of the input of a model of fixed sizes, examples per call first."""
    shape = onnx.load_from_string(model).graph.input[0].type.tensor_type.shape
    return tuple(int(size.dim_value) for size in shape.dim)


def named(name: str, path: str) -> bool:
    """Whether a node of this name computes the layer: runtimes derive their names from ours."""
    return re.search(rf"(?:^|[: ]){re.escape(path)}(?:$|[:_/])", name) is not None
