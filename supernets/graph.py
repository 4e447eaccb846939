"""Running the layers of an outline in order: the one interpreter of supernet and extracted network."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from spaces import INPUT, Layer


def stored8(layers: Sequence[Layer]) -> list[str]:
    """Names of the tensors (``"input"`` or a layer's path) that are stored in 8 bits, in order."""
    first = [INPUT] if any(layer.in8 and layer.inputs[0] == INPUT for layer in layers) else []
    return first + [layer.path for layer in layers if layer.out8]


def run(
    layers: Sequence[Layer],
    x: Tensor,
    weighted: Callable[[Layer, Tensor], Tensor],
    store: Callable[[str, Tensor], Tensor],
) -> Tensor:
    """Output of the last layer for ``x`` (b, c, h, w).

    ``weighted`` computes a conv or linear layer up to its activation function; ``store`` turns a tensor that is stored
    in 8 bits into the values that its readers see.
    """
    kept = set(stored8(layers))
    values = {INPUT: store(INPUT, x) if INPUT in kept else x}
    for layer in layers:
        inputs = [values[name] for name in layer.inputs]
        if layer.kind == "add":
            y = inputs[0] + inputs[1]
        elif layer.kind == "pool":
            y = inputs[0].mean(dim=(2, 3))
        else:
            y = weighted(layer, inputs[0])
        if layer.activation == "relu":
            y = torch.relu(y)
        values[layer.path] = store(layer.path, y) if layer.path in kept else y
    return values[layers[-1].path]
