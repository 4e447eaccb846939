"""Operations element by element, over one dimension, and reductions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from supernets.functions.operations import ELEMENTS, REDUCTIONS
from supernets.wrapping.atoms import ONE, Dims
from supernets.wrapping.nodes import Node
from supernets.wrapping.walk import Made, Rule, Walk, at, where


def elements(walk: Walk, node: Node) -> Dims:
    """Inputs go place by place."""
    return walk.broadcast(walk.tensors(node), where(node))


def reduced(walk: Walk, node: Node) -> Made | Dims:
    """Some dimensions are taken together, in any order of their places."""
    name = node.op.split(".")[1]
    if node.sizes is None:
        return walk.opaque(node)  # values and where they stand: positions among fewer channels are others
    dims = walk.dims(node.args[0])
    overload = node.op.split(".")[2]
    if overload == "default" and name not in ("amax", "amin", "logsumexp", "linalg_vector_norm"):
        return ()
    if overload in ("other", "Tensor"):
        return elements(walk, node)
    place = {"norm": 2, "linalg_vector_norm": 2}.get(name, 1)
    over = at(node, place, "dim")
    if over is not None and not isinstance(over, Sequence):
        over = (over,)
    gone = set(range(len(dims))) if not over else {d % len(dims) for d in over}
    kept = len(node.sizes) == len(dims)
    return tuple(ONE if i in gone else dim for i, dim in enumerate(dims) if kept or i not in gone)


def glu(walk: Walk, node: Node) -> Dims:
    """One half gates the other."""
    dims, over = walk.dims(node.args[0]), at(node, 1, "dim", -1)
    half = walk.atoms.size(dims[over]) // 2
    first, second = walk.atoms.parted(dims[over], [half, half], where(node))
    walk.atoms.one(first, second, where(node))
    return _put(dims, over, first)


def prelu(walk: Walk, node: Node) -> Dims:
    """A slope for each channel, or one for all."""
    dims, slopes = walk.dims(node.args[0]), walk.dims(node.args[1])
    walk.same([dims[1], slopes[0]], where(node))
    return dims


def _put(dims: Dims, place: int, dim: Any) -> Dims:
    place %= len(dims)
    return (*dims[:place], dim, *dims[place + 1 :])


RULES: Mapping[str, Rule] = {
    **dict.fromkeys(ELEMENTS, elements), **dict.fromkeys(REDUCTIONS, reduced), "glu": glu, "prelu": prelu,
}  # fmt: skip
