"""Products of tensors: between what a network computes, or with parameters that are no layer's weight."""

from __future__ import annotations

from collections.abc import Mapping

from supernets.wrapping.atoms import Dim, Dims
from supernets.wrapping.nodes import Node
from supernets.wrapping.walk import Made, Rule, Walk, at, base, where

HEADS = "heads"
_HEAD = "the width of a head is kept"


def attention(walk: Walk, node: Node) -> Made:
    """Scaled dot-product attention of (..., heads, tokens, head width): heads are elastic, their width is not."""
    q, k, v = (walk.dims(node.args[i]) for i in range(3))
    here, rank = where(node), len(q)
    if at(node, 7, "enable_gqa", False):
        walk.pin([q[-3], k[-3], v[-3]], f"queries and keys differ in heads at {here}")
        batch = q[:-2]
    else:
        batch = walk.broadcast([q[:-2], k[:-2], v[:-2]], here)
    walk.atoms.one(q[-1], k[-1], here)
    walk.atoms.one(k[-2], v[-2], here)
    if rank > 3:
        walk.pin([q[-1], v[-1]], _HEAD)
        walk.atoms.tag(q[-3], HEADS)
    mask = at(node, 3, "attn_mask")
    if mask is not None:
        walk.broadcast([(*batch, q[-2], k[-2]), walk.dims(mask)], here)
    pairs = (*batch, q[-2], k[-2])
    # Both products count alike: queries with keys, and what they weigh with the values.
    width = walk.atoms.seen(q[-1]) + walk.atoms.seen(v[-1])
    return Made((*batch, q[-2], v[-1]), macs=(*pairs, width))


def matmul(walk: Walk, node: Node) -> Made:
    """(..., m, k) times (..., k, n)."""
    added = base(node.op) in ("addmm", "baddbmm")
    first, second = (walk.dims(a) for a in node.args[added : 2 + added])
    here = where(node)
    if len(first) < 2 or len(second) < 2:
        return walk.opaque(node)
    batch = walk.broadcast([first[:-2], second[:-2]], here)
    walk.atoms.one(first[-1], second[-2], here)
    computed = not any(map(walk.is_held, node.args[:2]))
    if computed and len(first) > 3:
        walk.pin([first[-1]], _HEAD)
        walk.atoms.tag(first[-3], HEADS)
    made: Dims = (*batch, first[-2], second[-1])
    if added:
        made = walk.broadcast([made, walk.dims(node.args[0])], here)
    return Made(made, macs=(*made, first[-1]))


def einsum(walk: Walk, node: Node) -> Made:
    """One dimension for each letter."""
    text = str(node.args[0]).replace(" ", "")
    tensors = [walk.dims(ref) for ref in node.args[1]]
    if "..." in text or "->" not in text or len(tensors) > 2:
        return walk.opaque(node)
    given, made = text.split("->")
    known: dict[str, Dim] = {}
    for letters, dims in zip(given.split(","), tensors, strict=True):
        for letter, dim in zip(letters, dims, strict=True):
            known[letter] = walk.same([known[letter], dim], where(node)) if letter in known else dim
    counted = [
        c for c in known if c in made or all(c in letters for letters in given.split(","))
    ]  # others are summed first
    macs = tuple(known[letter] for letter in counted) if len(tensors) == 2 else ()
    return Made(tuple(known[letter] for letter in made), macs=macs)


RULES: Mapping[str, Rule] = {
    "scaled_dot_product_attention": attention,
    "matmul": matmul,
    "bmm": matmul,
    "mm": matmul,
    "addmm": matmul,
    "baddbmm": matmul,
    "einsum": einsum,
}
