"""A plain network as an ONNX file that takes any number of examples per call."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import GraphProto, NodeProto, helper, numpy_helper

from supernets.export.calls import NotExportable
from supernets.export.onnx import onnx as fixed
from supernets.plain import Network

_FEW, _MORE = 2, 3
_BATCH = "batch"
Sizes = NDArray[Any]


def any_batch(network: Network, metadata: Mapping[str, str] | None = None) -> bytes:
    """As :func:`supernets.export.onnx`, for any number of examples per call, which has the name ``batch`` in the file.

    It is what the files for two and for three examples have in common: sizes in which these differ are multiples of the
    number of examples, and computed from the shape of the input. Raises :class:`NotExportable` for a network that has
    no form, or of which anything else depends on the number of examples.
    """
    few, more = (onnx.load_from_string(fixed(network, size, metadata)) for size in (_FEW, _MORE))
    graph = few.graph
    _Common(graph, more.graph).write()
    for mine, other in zip((*graph.input, *graph.output), (*more.graph.input, *more.graph.output), strict=True):
        _free(mine, other)
    onnx.checker.check_model(few)
    return bytes(few.SerializeToString())


class _Common:
    """Changes the nodes of a graph so that they hold for the sizes of another one too."""

    def __init__(self, graph: GraphProto, other: GraphProto) -> None:
        self._graph, self._other = graph, other
        self._mine, self._others = ({i.name: i for i in g.initializer} for g in (graph, other))
        self._before: list[NodeProto] = []
        self._made: set[str] = set()

    def write(self) -> None:
        """All nodes, and what they need before them; constants that nothing reads any more go."""
        for node, other in zip(self._graph.node, self._other.node, strict=True):
            if (node.op_type, list(node.attribute)) != (other.op_type, list(other.attribute)):
                raise _depends(node)
            for i, (name, same) in enumerate(zip(node.input, other.input, strict=True)):
                if name in self._mine and same in self._others:
                    node.input[i] = self._input(node, name, same)
                elif name != same:
                    raise _depends(node)
        nodes = [*self._before, *self._graph.node]
        read = {name for node in nodes for name in node.input}
        kept = [constant for constant in self._graph.initializer if constant.name in read]
        del self._graph.node[:], self._graph.initializer[:]
        self._graph.node.extend(nodes)
        self._graph.initializer.extend(kept)

    def _input(self, node: NodeProto, name: str, same: str) -> str:
        """A constant, or what stands for it where the two differ."""
        mine, other = numpy_helper.to_array(self._mine[name]), numpy_helper.to_array(self._others[same])
        if mine.shape == other.shape and np.array_equal(mine, other):
            return name
        if (axis := _repeated(mine, other)) is not None:
            one = self._constant(mine.take([0], axis), f"{name}:one")
            sizes = np.array([_FEW if i == axis else 1 for i in range(mine.ndim)])
            return self._node("Expand", [one, self._sizes(sizes, sizes > 1, 1)], f"{name}:{_BATCH}")
        free = mine != other if mine.shape == other.shape else np.zeros(0, np.bool_)
        if mine.dtype != np.int64 or mine.ndim > 1 or not free.size or (mine * _MORE != other * _FEW)[free].any():
            raise _depends(node)
        if node.op_type == "Reshape" and free.sum() == 1 and (mine > 0).all():
            return self._numbers(np.where(free, -1, mine))
        return self._sizes(np.atleast_1d(mine), np.atleast_1d(free), mine.ndim)

    def _sizes(self, mine: Sizes, free: Sizes, axes: int) -> str:
        """Sizes of which the ``free`` ones are multiples of the number of examples."""
        words = ["".join(("b" if f else "") + str(n // _FEW if f else n) for n, f in zip(mine, free, strict=True))]
        output = f"sizes:{','.join(words)}:{axes}"
        if output in self._made:
            return output
        examples = self._node("Shape", [self._graph.input[0].name], _BATCH, start=0, end=1)
        parts = [
            self._node("Mul", [examples, self._numbers(np.array([n // _FEW]))], f"{output}:{i}")
            if f
            else self._numbers(np.array([n]))
            for i, (n, f) in enumerate(zip(mine.tolist(), free.tolist(), strict=True))
        ]
        whole = self._node("Concat", parts, output if axes else f"{output}:one", axis=0)
        return whole if axes else self._node("Squeeze", [whole], output)

    def _node(self, op: str, inputs: list[str], output: str, **attributes: Any) -> str:
        if output not in self._made:
            self._made.add(output)
            self._before.append(helper.make_node(op, inputs, [output], name=f"{op}:{output}", **attributes))
        return output

    def _numbers(self, value: Sizes) -> str:
        return self._constant(value.astype(np.int64), "numbers:" + ",".join(map(str, value.tolist())))

    def _constant(self, value: Sizes, name: str) -> str:
        if name not in self._mine:
            self._mine[name] = numpy_helper.from_array(value, name)
            self._graph.initializer.append(self._mine[name])
        return name


def _repeated(mine: Sizes, other: Sizes) -> int | None:
    """The axis along which the same values stand once for each example."""
    apart = [i for i, sizes in enumerate(zip(mine.shape, other.shape, strict=False)) if sizes == (_FEW, _MORE)]
    if mine.ndim != other.ndim or len(apart) != 1:
        return None
    one = mine.take([0], apart[0])
    same = all(np.array_equal(np.broadcast_to(one, of.shape), of) for of in (mine, other))
    return apart[0] if same else None


def _free(mine: onnx.ValueInfoProto, other: onnx.ValueInfoProto) -> None:
    """Name the sizes of an input or output in which the two differ."""
    for size, same in zip(mine.type.tensor_type.shape.dim, other.type.tensor_type.shape.dim, strict=True):
        if size.dim_value != same.dim_value:
            times = size.dim_value // _FEW
            size.dim_param = _BATCH if times == 1 else f"{times}*{_BATCH}"


def _depends(node: NodeProto) -> NotExportable:
    path = node.output[0].split(":")[0]
    return NotExportable(f"{path}: {node.op_type} depends on the number of examples per call in a way that no file has")
