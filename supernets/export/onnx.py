"""A plain network as an ONNX file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from onnx import TensorProto
from torch import nn

from spaces import INPUT, Layer, Space
from spaces.layers import WEIGHTED, Record
from spaces.precision import Precision
from supernets.export.calls import CALLS, FOLDED, NotExportable
from supernets.export.kinds import KINDS
from supernets.export.traced import finish, operation_name, traced, without_form
from supernets.export.writer import GraphWriter, Placed
from supernets.graph import SUM, stored8
from supernets.plain import Network, fresh_network

BLOCKS = {8: (16, 32, 64, 128, 256), 4: (16, 32, 64, 128, 256), 2: (32, 64, 128)}
"""Bits of a weight -> sizes of blocks that MatMulNBits has kernels of integers for; of others it computes in floats."""
_AS_BEFORE = frozenset(
    {*WEIGHTED, "norm", "rms_norm", "attention", "rotary", "add", "multiply", "concat", "activation"}
)
"""Kinds over features, which leave the form that torch has as it is."""


def check(space: Space) -> None:
    """Whether every network of this space can be exported. Raises :class:`NotExportable` naming the first layer."""
    said = f"space {space.name} can be counted, drawn from and trained, not yet exported"
    for r in space.outline.records:
        for p in space.precisions.get(r.path, ()):
            if not _stored(p, r.kind):
                raise NotExportable(f"{said}: {_without_form(r.path, p)} [not-exportable]")
        if r.call is not None and r.kind == "call" and operation_name(r.call.op) not in {*CALLS, *FOLDED}:
            raise NotExportable(f"{said}: {without_form(r.path, r.call.op)} [not-exportable]")
        if r.call is None and r.kind not in (*KINDS, "select"):
            raise NotExportable(f"{said}: {_what(r)} [not-exportable]")
    if space.outline.takes:
        try:
            onnx(fresh_network(space, space.largest))  # what an operation is called with may have no form either
        except NotExportable as error:
            raise NotExportable(f"{said}: {error}") from None


def _stored(precision: Precision, kind: str) -> bool:
    """Whether a file can hold it: float, or codes of 8 bits, or of 4 or 2 in nibbles, over inputs of 8."""
    weight, given = precision.weight, precision.input
    if weight is None or given is None:
        return not precision.quantized
    if precision.blockwise:
        return kind == "linear" and weight.group in BLOCKS.get(weight.bits, ())
    return precision.integer and weight.bits in (2, 4, 8) and given.bits == 8


def _without_form(path: str, precision: Precision) -> str:
    return f"{path}: precision {precision.name} has no ONNX form, it is simulated"


def _what(layer: Layer | Record) -> str:
    return f"{layer.path}: no ONNX form for a layer of kind {layer.kind}"


def onnx(network: Network, batch: int = 1, metadata: Mapping[str, str] | None = None) -> bytes:
    """Serialised ONNX model of ``network``, of ``batch`` examples per call.

    Its input ``input`` is (batch, c, h, w) float32, or int64 numbers of tokens: (batch, t), of several sequences
    (batch, sequences, t). Its output is that of the network. Quantized layers keep their integer codes as
    initialisers; see :mod:`supernets.export.writer` for the forms. ``metadata`` is kept in the model's
    ``metadata_props``. Raises :class:`NotExportable` for a layer that has none.
    """
    for layer in network.layers:
        if not _stored(layer.precision, layer.kind):
            raise NotExportable(_without_form(layer.path, layer.precision))
    grids = {name: network.grid(name) for name in stored8(network.layers)}
    writer = GraphWriter(batch)
    for name, grid in grids.items():
        writer.grid(name, float(grid.scale), int(grid.zero_point))
    if network.takes:
        return traced(network, writer, metadata)
    modules = {y.path: network.module(y.path) for y in network.layers if y.path in network.paths}
    declare(writer, network.layers, network.input_shape)
    write(writer, network.layers, modules)
    return finished(writer, network.layers[-1], metadata)


def declare(writer: GraphWriter, layers: Sequence[Layer], shape: tuple[int, int, int]) -> None:
    """The input of a network over pictures or sequences (c, h, w)."""
    c, h, w = shape
    kinds = {y.kind for y in layers if INPUT in y.inputs}
    if kinds <= {"embedding", "channel"}:
        writer.input(INPUT, (writer.batch, h) if "embedding" in kinds else (writer.batch, c, h), TensorProto.INT64)
        return
    writer.input(INPUT, (writer.batch, c, h, w))
    writer.placed[INPUT] = Placed("picture", "picture", c, h, w)
    if writer.stored8(INPUT):
        writer.store(INPUT)


def write(writer: GraphWriter, layers: Sequence[Layer], modules: Mapping[str, nn.Module]) -> None:
    """Add resolved layers in order, each reading its inputs in the form they have; outputs have the layers' paths."""
    for y in layers:
        if y.kind not in KINDS:
            raise NotExportable(_what(y))
        sums = y.path if y.activation == "none" else y.path + SUM
        form = KINDS[y.kind](writer, y, modules.get(y.path), sums)
        if form == "numbers":
            continue
        writer.placed[sums] = writer.placed[y.path] = Placed(form, _meant(writer, y, form), y.c_out, y.out_h, y.out_w)
        finish(writer, y, y.path, sums)


def _meant(writer: GraphWriter, layer: Layer, form: str) -> str:
    """The form that torch has: layers over features leave a picture a picture, unless it has one place."""
    before = writer.placed.get(layer.inputs[0])
    if before is None or layer.kind not in _AS_BEFORE:
        return form
    if layer.kind == "conv":
        return "picture"
    return "vector" if before.places == 1 and before.means == "picture" and layer.kind != "add" else before.means


def finished(writer: GraphWriter, last: Layer, metadata: Mapping[str, str] | None = None) -> bytes:
    """The model whose output is that of the last layer, as the network gives it: a picture of one place as a vector."""
    placed = writer.placed[last.path]
    form = "vector" if placed.places == 1 and placed.means == "picture" else placed.means
    output = writer.read(last.path, form)
    return writer.model(output, placed.shape(form, writer.batch), metadata=metadata)
