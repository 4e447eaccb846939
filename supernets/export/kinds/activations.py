"""Activation functions: the nodes that compute each, by the names of the outline."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import numpy as np

from supernets.export.writer import GraphWriter

Write = Callable[[GraphWriter, str, str], str]


def _one(op: str, **attributes: Any) -> Write:
    def write(writer: GraphWriter, x: str, output: str) -> str:
        return writer.node(op, [x], output, **attributes)

    return write


def _swish(writer: GraphWriter, x: str, output: str) -> str:
    """The runtime makes one node of the two."""
    return writer.node("Mul", [x, writer.node("Sigmoid", [x], f"{output}:sigmoid")], output)


def _clipped(high: float, writer: GraphWriter, x: str, output: str) -> str:
    limits = [writer.constant(f"clip:{limit}", np.array(limit, np.float32)) for limit in (0.0, high)]
    return writer.node("Clip", [x, *limits], output)


ACTIVATIONS: Mapping[str, Write] = {
    "relu": _one("Relu"),
    "relu6": partial(_clipped, 6.0),
    "hard_swish": _one("HardSwish"),
    "swish": _swish,
    "gelu": _one("Gelu"),
    "sigmoid": _one("Sigmoid"),
    "hard_sigmoid": _one("HardSigmoid", alpha=1 / 6, beta=0.5),
    "tanh": _one("Tanh"),
}
"""Every name but ``none``."""
