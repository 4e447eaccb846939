"""Operations that move values: reshape, transpose, join, split, pad, and tensors of one value."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from supernets.functions.operations import ALONG, FILLED, PYTHON, RESHAPES
from supernets.wrapping.atoms import ONE, Dim, Dims
from supernets.wrapping.nodes import BATCH, Node
from supernets.wrapping.walk import Made, Result, Rule, Size, Walk, at, base, where

_PICKED = "single places of it are read"


def reshape(walk: Walk, node: Node) -> Made:
    """Row by row, whatever it is called; the dimension with the batch is what remains."""
    assert node.sizes is not None
    dims = walk.atoms.reshaped(walk.dims(node.args[0]), node.sizes, where(node))
    sizes = tuple(-1 if walk.has_batch(dim) else Size(dim) for dim in dims)
    return Made(dims, (node.args[0], sizes), "aten.reshape.default")


def permute(walk: Walk, node: Node) -> Dims:
    """Dimensions in another order."""
    dims = walk.dims(node.args[0])
    return tuple(dims[i] for i in node.args[1])


def transpose(walk: Walk, node: Node) -> Dims:
    """Two dimensions change places."""
    dims = list(walk.dims(node.args[0]))
    if base(node.op) in ("t", "numpy_T"):
        return tuple(reversed(dims))
    i, j = node.args[1:3]
    dims[i], dims[j] = dims[j], dims[i]
    return tuple(dims)


def movedim(walk: Walk, node: Node) -> Dims:
    """Some dimensions go to other places, the others keep their order."""
    dims = walk.dims(node.args[0])
    ends = ((a,) if isinstance(a, int) else a for a in node.args[1:3])
    sources, places = ([i % len(dims) for i in each] for each in ends)
    others = iter([dim for i, dim in enumerate(dims) if i not in sources])
    moved = dict(zip(places, (dims[i] for i in sources), strict=True))
    return tuple(moved[i] if i in moved else next(others) for i in range(len(dims)))


def expand(walk: Walk, node: Node) -> Made | Dims:
    """Dimensions of one place are repeated."""
    assert node.sizes is not None
    x, n = walk.dims(node.args[0]), len(node.sizes)
    if base(node.op) == "expand_as":
        return walk.dims(node.args[1])
    sizes = node.args[1]
    padded = (ONE,) * (n - len(x)) + x
    dims: list[Dim] = []
    args: list[Any] = []
    for dim, size, given in zip(padded, node.sizes, sizes, strict=True):
        wider = walk.atoms.size(dim) != size
        dims.append(walk.fresh([size])[0] if wider else dim)
        args.append((given if size % BATCH == 0 else Size(dims[-1])) if wider else _kept(walk, dim))
    return Made(tuple(dims), (node.args[0], tuple(args)), "aten.expand.default")


def _kept(walk: Walk, dim: Dim) -> Any:
    return -1 if walk.has_batch(dim) else Size(dim)


def repeat(walk: Walk, node: Node) -> Made | Dims:
    """The whole dimension several times."""
    assert node.sizes is not None
    x, counts = walk.dims(node.args[0]), node.args[1]
    padded = (ONE,) * (len(node.sizes) - len(x)) + x
    dims: list[Dim] = []
    for dim, count, size in zip(padded, counts, node.sizes, strict=True):
        times = walk.fresh([size // walk.atoms.size(dim)], "it is repeated")[0] if count != 1 else ONE
        product = walk.atoms.product([times, dim])
        if product is None:
            return walk.opaque(node)
        dims.append(product)
    return tuple(dims)


def concat(walk: Walk, node: Node) -> Dims:
    """One tensor after the other along a dimension."""
    tensors = [walk.dims(ref) for ref in node.args[0]]
    place = at(node, 1, "dim", 0) % len(tensors[0])
    for i in range(len(tensors[0])):
        if i != place:
            walk.same([t[i] for t in tensors], where(node))
    joined = tuple(segment for ref in node.args[0] for segment in walk.dims(ref)[place])
    first = walk.dims(node.args[0][0])
    return (*first[:place], joined, *first[place + 1 :])


def stack(walk: Walk, node: Node) -> Dims:
    """Tensors beside each other in a new dimension."""
    tensors = [walk.dims(ref) for ref in node.args[0]]
    together = walk.broadcast(tensors, where(node))
    place = at(node, 1, "dim", 0) % (len(together) + 1)
    count = walk.fresh([len(tensors)], _PICKED)
    return (*together[:place], *count, *together[place:])


def split(walk: Walk, node: Node) -> Made:
    """Consecutive parts of a dimension."""
    dims, name = walk.dims(node.args[0]), base(node.op)
    place = at(node, 2, "dim", 0) % len(dims)
    n, said = walk.atoms.size(dims[place]), node.args[1]
    if not isinstance(said, Sequence):
        each = -(-n // said) if name == "chunk" else said
        said = tuple(min(each, n - start) for start in range(0, n, each))
    parts = walk.atoms.parted(dims[place], said, where(node))
    dims = walk.dims(node.args[0])
    made: Result = [(*dims[:place], part, *dims[place + 1 :]) for part in parts]
    return Made(made, (node.args[0], tuple(map(Size, parts)), place), "aten.split_with_sizes.default")


def unbind(walk: Walk, node: Node) -> Made:
    """Every place of a dimension by itself."""
    dims = walk.dims(node.args[0])
    place = at(node, 1, "dim", 0) % len(dims)
    walk.pin([dims[place]], _PICKED)
    return Made([(*dims[:place], *dims[place + 1 :])] * walk.atoms.size(dims[place]))


def select(walk: Walk, node: Node) -> Dims:
    """One place of a dimension."""
    dims, place = walk.dims(node.args[0]), node.args[1]
    place %= len(dims)
    walk.pin([dims[place]], _PICKED)
    return (*dims[:place], *dims[place + 1 :])


def slices(walk: Walk, node: Node) -> Made | Dims:
    """Consecutive places of a dimension."""
    assert node.sizes is not None
    dims = walk.dims(node.args[0])
    place = at(node, 1, "dim", 0) % len(dims)
    n, size = walk.atoms.size(dims[place]), node.sizes[place]
    start = at(node, 2, "start") or 0
    start = start + n if start < 0 else start
    if n == size:
        return Made(dims, (node.args[0],), "aten.alias.default")
    if at(node, 4, "step", 1) != 1 or walk.has_batch(dims[place]):
        walk.pin([dims[place]], _PICKED)
        return (*dims[:place], *walk.fresh([size], _PICKED), *dims[place + 1 :])
    sizes = [k for k in (start, size, n - start - size) if k]
    parts = walk.atoms.parted(dims[place], sizes, where(node))
    before = parts[0] if start else ()
    kept = parts[1 if start else 0]
    args = (node.args[0], place, Size(before) if before else 0, Size((*before, *kept)))
    dims = walk.dims(node.args[0])
    return Made((*dims[:place], kept, *dims[place + 1 :]), args, "aten.slice.Tensor")


def along(walk: Walk, node: Node) -> Made | Dims:
    """Places of some dimensions in another order, or summed up: these are kept, others are not concerned."""
    dims, name = walk.dims(node.args[0]), base(node.op)
    over = at(node, 2 if name == "roll" else 1, "dims" if name in ("flip", "roll") else "dim")
    if over is None or over == () or not isinstance(over, int | tuple):
        return walk.opaque(node)
    walk.pin([dims[i] for i in ((over,) if isinstance(over, int) else over)], f"{name} needs all of it")
    return dims


def index(walk: Walk, node: Node) -> Made | Dims:
    """Rows of a table, by one tensor of numbers; nothing else is elastic."""
    dims, wanted = walk.dims(node.args[0]), node.args[1]
    given = [i for i, ref in enumerate(wanted) if ref is not None]
    if len(given) != 1 or walk.steps[wanted[given[0]].name].node.dtype.is_floating_point:
        return walk.opaque(node)
    place = given[0]
    walk.pin([dims[place]], _PICKED)
    return (*dims[:place], *walk.dims(wanted[place]), *dims[place + 1 :])


def getitem(walk: Walk, node: Node) -> Made:
    """One of several tensors."""
    several = walk.steps[node.args[0].name].dims
    assert isinstance(several, list)
    return Made(several[node.args[1]])


def pad(walk: Walk, node: Node) -> Made | Dims:
    """More places before and after."""
    dims, pads = list(walk.dims(node.args[0])), node.args[1]
    constant = base(node.op) == "constant_pad_nd" or at(node, 2, "mode", "constant") == "constant"
    if any(n < 0 for n in pads):
        return walk.opaque(node)
    for i in range(len(pads) // 2):
        place, before, after = len(dims) - 1 - i, pads[2 * i], pads[2 * i + 1]
        if not before and not after:
            continue
        if not constant:
            walk.pin([dims[place]], _PICKED)
        sides = [walk.fresh([n], "it is padding")[0] if n else () for n in (before, after)]
        dims[place] = (*sides[0], *dims[place], *sides[1])
    return tuple(dims)


def filled(walk: Walk, node: Node) -> Made:
    """A tensor of one value."""
    assert node.sizes is not None
    place = 1 if base(node.op).startswith("new_") else 0
    dims = walk.fresh(node.sizes)
    given = zip(dims, node.sizes, node.args[place], strict=True)
    sizes = tuple(said if size % BATCH == 0 else Size(dim) for dim, size, said in given)
    return Made(dims, (*node.args[:place], sizes, *node.args[place + 1 :]))


def pixel_shuffle(walk: Walk, node: Node) -> Dims:
    """Channels become places."""
    x, r, here = walk.dims(node.args[0]), node.args[1], where(node)
    made = walk.atoms.reshaped([x[-3]], [walk.atoms.size(x[-3]) // r**2, r, r], here)
    walk.pin((*made[1:], *x[-2:]), "channels become places")
    assert node.sizes is not None
    return (*x[:-3], made[0], *walk.fresh(node.sizes[-2:], "channels become places"))


def pixel_unshuffle(walk: Walk, node: Node) -> Made | Dims:
    """Places become channels."""
    x, r = walk.dims(node.args[0]), node.args[1]
    walk.pin(x[-2:], "places become channels")
    channels = walk.atoms.product([x[-3], walk.atoms.new(r * r, "places become channels")])
    if channels is None or node.sizes is None:
        return walk.opaque(node)
    return (*x[:-3], channels, *walk.fresh(node.sizes[-2:], "places become channels"))


def channel_shuffle(walk: Walk, node: Node) -> Made | Dims:
    """Groups of channels, dealt out."""
    x, groups = walk.dims(node.args[0]), node.args[1]
    outer, inner = walk.atoms.reshaped([x[1]], [groups, walk.atoms.size(x[1]) // groups], where(node))
    walk.pin([outer], "channels are dealt out")
    dealt = walk.atoms.product([inner, outer])
    return walk.opaque(node) if dealt is None else (x[0], dealt, *x[2:])


def number(walk: Walk, node: Node) -> Made:
    """A number: the size of the batch, or what follows from it."""
    return Made(None)


RULES: Mapping[str, Rule] = {
    **dict.fromkeys(RESHAPES, reshape),
    **dict.fromkeys(("transpose", "t", "numpy_T", "swapaxes"), transpose),
    **dict.fromkeys(("expand", "expand_as"), expand),
    **dict.fromkeys(("split", "split_with_sizes", "chunk"), split),
    **dict.fromkeys(("pad", "constant_pad_nd"), pad),
    **dict.fromkeys(FILLED, filled),
    **dict.fromkeys(ALONG, along),
    "index": index,
    "permute": permute,
    "movedim": movedim,
    "repeat": repeat,
    "cat": concat,
    "stack": stack,
    "unbind": unbind,
    "select": select,
    "slice": slices,
    "getitem": getitem,
    "pixel_shuffle": pixel_shuffle,
    "pixel_unshuffle": pixel_unshuffle,
    "channel_shuffle": channel_shuffle,
    "sym_size": number,
    **{name: number for name in PYTHON if name.startswith("number")},
}
