"""A plain network as an ONNX file."""

from __future__ import annotations

from collections.abc import Mapping

from torch import nn

from spaces import INPUT, Layer, Space
from spaces.layers import WEIGHTED, Chosen, Lookup, Record
from spaces.precision import Precision
from supernets.export.qdq import GraphWriter, NotExportable
from supernets.graph import stored8
from supernets.plain import Network, Quantized

_KINDS = ("conv", "linear", "add", "pool")


def check(space: Space) -> None:
    """Whether every network of this space can be exported. Raises :class:`NotExportable` naming the first layer."""
    said = f"space {space.name} can be counted, drawn from and trained, not yet exported"
    for r in space.outline.records:
        most = space.extents.get(r.path)
        for p in space.precisions.get(r.path, ()):
            if not _stored(p):
                raise NotExportable(f"{said}: {_without_form(r.path, p)} [not-exportable]")
        if not _known(r, 1 if most is None else most.h * most.w):
            raise NotExportable(f"{said}: {_what(r)} [not-exportable]")
    if space.outline.resolution is not None:
        raise NotExportable(f"{said}: its resolution is chosen [not-exportable]")


def _stored(precision: Precision) -> bool:
    """Whether a file can hold it: float, or codes of 4 or 8 bits over inputs of 8."""
    weight, given = precision.weight, precision.input
    if weight is None or given is None:
        return not precision.quantized
    return precision.integer and weight.bits in (4, 8) and given.bits == 8


def _without_form(path: str, precision: Precision) -> str:
    return f"{path}: precision {precision.name} has no ONNX form, it is simulated"


def _what(layer: Layer | Record) -> str:
    form = " with these fields" if layer.kind in _KINDS else ""
    return f"{layer.path}: no ONNX form for a layer of kind {layer.kind}{form}"


def _known(layer: Layer | Record, places: int) -> bool:
    plain = (layer.groups, layer.dilation, layer.padding, layer.weight_of) == (1, 1, None, None)
    fed = len(layer.inputs) == 2 if layer.kind == "add" else layer.kind != "linear" or places == 1
    fixed = not isinstance(layer, Record) or not isinstance(layer.stride, Chosen | Lookup)
    biased = layer.bias or layer.norm
    return layer.kind in _KINDS and plain and fed and fixed and biased and layer.activation in ("none", "relu")


def onnx(network: Network, batch: int = 1, metadata: Mapping[str, str] | None = None) -> bytes:
    """Serialised ONNX model of ``network``: input ``input`` (batch, c, h, w) float32, output: logits (batch, classes).

    Quantized layers keep their integer codes as initialisers; see :mod:`supernets.export.qdq` for the forms.
    ``metadata`` is kept in the model's ``metadata_props``. Raises :class:`NotExportable` for a layer that has none.
    """
    for layer in network.layers:
        if not _stored(layer.precision):
            raise NotExportable(_without_form(layer.path, layer.precision))
        if not _known(layer, layer.h * layer.w):
            raise NotExportable(_what(layer))
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
