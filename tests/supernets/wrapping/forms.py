"""Extracted networks of traced models against their files: what every layer gives, on the inputs of the file's."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import torch
from onnx import TensorProto, helper
from torch import Tensor
from torch.testing import assert_close

from predictors.latency.backends import onnxruntime as backend
from spaces import INPUT, Layer
from supernets import Network, export
from supernets.functions import ACTIVATIONS, FUNCTIONS
from supernets.graph import SUM, moved, stored8

Inputs = tuple[Tensor, ...]


def ran(model: bytes, inputs: Inputs) -> list[np.ndarray[Any, Any]]:
    """All outputs of a file."""
    session: Any = backend.session(model)
    given = {wanted.name: x.numpy() for wanted, x in zip(session.get_inputs(), inputs, strict=True)}
    return list(session.run(None, given))


def tensors(plain: Network, inputs: Inputs) -> dict[str, Any]:
    """Every tensor that the file computes from the input, as the values its readers see."""
    model = onnx.load_from_string(export.onnx(plain, len(inputs[0])))
    computed = {name for node in model.graph.node for name in node.output}
    kept = set(stored8(plain.layers))
    made = [name for y in plain.layers for name in (y.path + SUM, y.path) if name in kept or name == y.path]
    names = [f"{name}:q" if name in kept else name for name in made]
    apart = set(moved(plain.layers).values())  # the runtime may store these where they are read at other places only
    names = [name for name in names if name in computed and name not in apart]
    known = {o.name for o in model.graph.output}
    for name in names:
        dtype = TensorProto.UINT8 if name.endswith(":q") else TensorProto.UNDEFINED
        if name not in known:
            model.graph.output.append(helper.make_tensor_value_info(name, dtype, None) if dtype else _any(name))
    session: Any = backend.session(model.SerializeToString())
    given = {wanted.name: x.numpy() for wanted, x in zip(session.get_inputs(), inputs, strict=True)}
    found: dict[str, Any] = dict(given)
    for name, array in zip(names, session.run(names, given), strict=True):
        value = torch.from_numpy(array)
        if name.endswith(":q"):
            grid = plain.grid(name.removesuffix(":q"))
            value = (value.float() - grid.zero_point) * grid.scale
        found[name.removesuffix(":q")] = value
    return {name: torch.as_tensor(value) for name, value in found.items()}


def _any(name: str) -> onnx.ValueInfoProto:
    return onnx.ValueInfoProto(name=name)


def sums(plain: Network, y: Layer, inputs: list[Any]) -> Any:
    """What the network makes of these inputs in one layer, before its activation function."""
    made: Any = FUNCTIONS[y.kind](y, *inputs) if y.kind in FUNCTIONS else plain.module(y.path)(inputs[0])
    return plain.grid(y.path + SUM)(made) if y.sums8 else made


def seen(plain: Network, y: Layer, made: Any) -> Any:
    """What readers see of these sums."""
    made = ACTIVATIONS[y.activation](made) if y.activation != "none" else made
    return plain.grid(y.path)(made) if y.out8 else made


@torch.no_grad()
def compare(plain: Network, inputs: Inputs) -> tuple[int, int]:
    """Every layer on the inputs that the file's layer had: (elements in 8 bits, those a step off).

    Raises ``AssertionError`` for more than a step, or what differs in floats.
    """
    stored = INPUT in stored8(plain.layers)
    values: dict[str, Any] = {INPUT: inputs if len(inputs) > 1 else plain.grid(INPUT)(*inputs) if stored else inputs[0]}
    in_file, compared, off = tensors(plain, inputs), 0, 0
    for y in plain.layers[:-1]:
        made = sums(plain, y, [values[name] for name in y.inputs])
        if y.sums8:
            counted = _steps(y.path + SUM, in_file[y.path + SUM], made, plain)
            compared, off, made = compared + made.numel(), off + counted, in_file[y.path + SUM]
        expected = seen(plain, y, made)
        values[y.path] = in_file.get(y.path, expected)
        if y.out8:
            compared, off = compared + expected.numel(), off + _steps(y.path, values[y.path], expected, plain)
        elif isinstance(expected, Tensor):
            assert_close(values[y.path], expected, rtol=1e-4, atol=1e-5, msg=lambda said, y=y: f"{y.path}: {said}")
    return compared, off


def _steps(name: str, ours: Tensor, theirs: Tensor, plain: Network) -> int:
    """How many values are a step apart."""
    steps = ((ours - theirs) / plain.grid(name).scale).round().abs()
    assert int(steps.max()) <= 1, name
    return int((steps > 0).sum())
