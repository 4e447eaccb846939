"""Activation functions that the record of the layer before them takes along, so that integer kernels can.

Layers are those with weights, norms, and sums of two tensors.
"""

from __future__ import annotations

from collections.abc import Mapping

from supernets.wrapping.depth import Depth
from supernets.wrapping.nodes import Node, Ref
from supernets.wrapping.sites import Layers
from supernets.wrapping.walk import at

_NAMES: Mapping[str, str] = {
    "aten.relu.default": "relu",
    "aten.relu6.default": "relu6",
    "aten.hardswish.default": "hard_swish",
    "aten.silu.default": "swish",
    "aten.gelu.default": "gelu",
    "aten.sigmoid.default": "sigmoid",
    "aten.hardsigmoid.default": "hard_sigmoid",
    "aten.tanh.default": "tanh",
}
"""Operation -> the name of the outline."""


def activations(layers: Layers, depth: Depth) -> dict[str, tuple[str, str]]:
    """Node -> (name of its function, node of the layer that alone it reads).

    Not where the layer ends a block that can be left out: what passes it by is no output of the layer.
    """
    found: dict[str, tuple[str, str]] = {}
    sums = [n.name for n in layers.trace.nodes if n.op == "aten.add.Tensor" and all(isinstance(a, Ref) for a in n.args)]
    ends = {name: weighted.norm or name for name, weighted in layers.weighted.items()}
    for name, end in {**ends, **{n: n for n in (*layers.norms, *sums)}}.items():
        readers = layers.readers[end]
        if len(readers) != 1 or end in depth.before or depth.when.get(readers[0].name) != depth.when.get(end):
            continue
        function = _function(readers[0])
        if function is not None:
            found[readers[0].name] = function, name
    return found


def _function(node: Node) -> str | None:
    if node.op == "aten.hardtanh.default":
        limits = at(node, 1, "min_val", -1), at(node, 2, "max_val", 1)
        return "relu6" if limits == (0, 6) else None
    if node.op == "aten.gelu.default" and at(node, 1, "approximate", "none") != "none":
        return None
    return _NAMES.get(node.op)
