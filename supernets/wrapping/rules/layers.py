"""Layers with weights, norms, pools."""

from __future__ import annotations

import re
from collections.abc import Mapping

from supernets.functions.operations import POOLS
from supernets.wrapping.atoms import Dim, Dims
from supernets.wrapping.nodes import Node
from supernets.wrapping.walk import Made, Rule, Size, Walk, at, base, where

_PLACES = "the size of the picture is kept"
_KERNEL = "the kernel is kept"
_FEW = 4  # with fewer groups than this, what is elastic is their width
GROUPS = "groups"


def linear(walk: Walk, node: Node) -> Dims:
    """(..., in) to (..., out)."""
    x, weight = walk.dims(node.args[0]), walk.dims(node.args[1])
    walk.atoms.one(x[-1], weight[1], where(node))
    _biased(walk, node, weight[0])
    return (*x[:-1], weight[0])


def conv(walk: Walk, node: Node) -> Made:
    """(b, in, ...) to (b, out, ...); with groups both are groups times their width."""
    x, weight = walk.dims(node.args[0]), walk.dims(node.args[1])
    if len(x) != len(weight):
        return walk.opaque(node)
    here, groups = where(node), at(node, 6, "groups", 1)
    walk.pin(x[2:], _PLACES)
    walk.pin(weight[2:], _KERNEL)
    bias, rank = at(node, 2, "bias"), len(x) - 2
    args = [*node.args[:2], bias, *(at(node, i, name, (one,) * rank) for i, name, one in _CONV)]
    if groups == 1:
        walk.atoms.one(x[1], weight[1], here)
        args.append(1)
    else:
        args.append(Size(_grouped(walk, x[1], weight[0], weight[1], groups, here)))
    _biased(walk, node, weight[0])
    assert node.sizes is not None
    return Made((x[0], weight[0], *walk.fresh(node.sizes[2:], _PLACES)), tuple(args))


_CONV = ((3, "stride", 1), (4, "padding", 0), (5, "dilation", 1))


def _grouped(walk: Walk, channels: Dim, rows: Dim, columns: Dim, groups: int, here: str) -> Dim:
    atoms = walk.atoms
    group = atoms.new(groups)
    atoms.tag(group, GROUPS)
    each = atoms.new(atoms.size(rows) // groups)
    walk.atoms.one(channels, (group[0] + atoms.seen(columns)[0],), here)
    walk.atoms.one(rows, (group[0] + each[0],), here)
    if atoms.size(columns) > 1:
        walk.later.append(lambda: _settle(walk, group, [columns, each], here))
    return group


def _settle(walk: Walk, group: Dim, widths: list[Dim], here: str) -> None:
    """Of groups of several channels either their number is elastic or their width."""
    atoms = [walk.atoms.of(a) for segment in walk.atoms.seen(group) for a in segment]
    many = walk.atoms.size(group) >= _FEW and not any(atom.pin for atom in atoms)
    walk.pin(widths if many else [group], f"the {'width' if many else 'number'} of groups is kept at {here}")


def conv_transpose(walk: Walk, node: Node) -> Made:
    """As a convolution whose weight is (in, out / groups, ...)."""
    x, weight = walk.dims(node.args[0]), walk.dims(node.args[1])
    here = where(node)
    if len(x) != len(weight) or at(node, 6, "groups", 1) != 1:
        return walk.opaque(node)
    walk.pin((*x[2:], *weight[2:]), _PLACES)
    walk.atoms.one(x[1], weight[0], here)
    _biased(walk, node, weight[1])
    assert node.sizes is not None
    made = (x[0], weight[1], *walk.fresh(node.sizes[2:], _PLACES))
    return Made(made, macs=(*x, *weight[1:]))


def _biased(walk: Walk, node: Node, rows: Dim) -> None:
    bias = at(node, 2, "bias")
    if bias is not None:
        walk.atoms.one(walk.dims(bias)[0], rows, where(node))


def batch_norm(walk: Walk, node: Node) -> Dims:
    """One mean and deviation per channel."""
    x = walk.dims(node.args[0])
    for value in node.args[1:5]:
        if value is not None:
            walk.atoms.one(walk.dims(value)[0], x[1], where(node))
    return x


def layer_norm(walk: Walk, node: Node) -> Made:
    """Over the last dimensions."""
    x, count = walk.dims(node.args[0]), len(node.args[1])
    for place, name in ((2, "weight"), (3, "bias")):
        value = at(node, place, name)
        if value is not None:
            walk.broadcast([x[-count:], walk.dims(value)], where(node))
    x = walk.dims(node.args[0])
    return Made(x, (node.args[0], tuple(map(Size, x[-count:])), *node.args[2:]))


def group_norm(walk: Walk, node: Node) -> Dims:
    """Over groups of channels: their number is kept, their width is elastic."""
    x, groups = walk.dims(node.args[0]), node.args[1]
    here = where(node)
    group = walk.atoms.new(groups, f"the number of groups is kept at {here}")
    each = walk.atoms.new(walk.atoms.size(x[1]) // groups)
    walk.atoms.one(x[1], (group[0] + each[0],), here)
    for place, name in ((2, "weight"), (3, "bias")):
        value = at(node, place, name)
        if value is not None:
            walk.atoms.one(walk.dims(value)[0], x[1], here)
    return walk.dims(node.args[0])


def embedding(walk: Walk, node: Node) -> Dims:
    """A row for each number."""
    rows = walk.dims(node.args[0])
    walk.pin(rows[:1], "every number needs its row")
    return (*walk.dims(node.args[1]), rows[1])


def pool(walk: Walk, node: Node) -> Made | Dims:
    """Windows over the last dimensions, channel by channel."""
    found = re.search(r"([123])d", base(node.op))
    if node.sizes is None or found is None:
        return walk.opaque(node)
    x, count = walk.dims(node.args[0]), int(found[1])
    walk.pin(x[-count:], _PLACES)
    return (*x[:-count], *walk.fresh(node.sizes[-count:], _PLACES))


RULES: Mapping[str, Rule] = {
    "linear": linear,
    "conv1d": conv,
    "conv2d": conv,
    "conv3d": conv,
    "conv_transpose1d": conv_transpose,
    "conv_transpose2d": conv_transpose,
    "conv_transpose3d": conv_transpose,
    "batch_norm": batch_norm,
    "instance_norm": batch_norm,
    "layer_norm": layer_norm,
    "rms_norm": layer_norm,
    "group_norm": group_norm,
    "embedding": embedding,
    **dict.fromkeys(POOLS, pool),
}
