"""A plain network as an ONNX file."""

from __future__ import annotations

from collections.abc import Mapping

from torch import nn

from spaces import INPUT
from spaces.outline import WEIGHTED
from supernets.export.qdq import GraphWriter
from supernets.graph import stored8
from supernets.plain import Network, Quantized


def onnx(network: Network, batch: int = 1, metadata: Mapping[str, str] | None = None) -> bytes:
    """Serialised ONNX model of ``network``: input ``input`` (batch, c, h, w) float32, output: logits (batch, classes).

    Quantized layers keep their integer codes as initialisers; see :mod:`supernets.export.qdq` for the forms.
    ``metadata`` is kept in the model's ``metadata_props``.
    """
    writer = GraphWriter(INPUT, (batch, *network.input_shape))
    for name in stored8(network.layers):
        grid = network.grid(name)
        writer.grid(name, float(grid.scale), int(grid.zero_point))
        if name == INPUT:
            writer.store(INPUT)
    for layer in network.layers:
        weight, bias = ("", "")
        if layer.kind in WEIGHTED:
            weight, bias = _parameters(writer, layer.path, network.module(layer.path))
        writer.layer(layer, weight, bias)
    last = network.layers[-1]
    return writer.model(last.path, (batch, last.c_out), metadata=metadata)


def _parameters(writer: GraphWriter, path: str, module: nn.Module) -> tuple[str, str]:
    if isinstance(module, Quantized):
        scale = module.scale.numpy()
        weight = writer.weights(path, module.codes.numpy(), scale, module.bits)
        return weight, writer.bias(path, module.bias.numpy(), (module.scale * module.input_scale).numpy())
    assert isinstance(module, nn.Conv2d | nn.Linear)
    assert module.bias is not None
    weights = module.weight.detach().numpy()
    return writer.constant(f"{path}.weight", weights), writer.constant(f"{path}.bias", module.bias.detach().numpy())
