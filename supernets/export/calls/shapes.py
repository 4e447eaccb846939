"""Operations that move values and change none."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import torch

from supernets.export.calls.elements import Emit
from supernets.export.calls.site import Site
from supernets.functions.operations import RESHAPES


def reshape(site: Site) -> None:
    """Row by row."""
    site.shaped(site.read(site.args[0]), site.made.shape)


def permute(site: Site) -> None:
    """Dimensions in another order."""
    rank = site.made.dim()
    site.write("Transpose", site.read(site.args[0]), perm=[d % rank for d in site.args[1]])


def transpose(site: Site) -> None:
    """Two dimensions change places; by default all."""
    order = list(range(site.made.dim()))
    if site.op.split(".")[1] in ("t", "numpy_T"):
        order.reverse()
    else:
        i, j = site.args[1:3]
        order[i], order[j] = order[j], order[i]
    site.write("Transpose", site.read(site.args[0]), perm=order)


def movedim(site: Site) -> None:
    """Some dimensions go to other places."""
    numbers = torch.arange(site.made.dim())
    order = torch.movedim(torch.zeros([int(n) + 1 for n in numbers]), *site.args[1:3]).shape
    site.write("Transpose", site.read(site.args[0]), perm=[n - 1 for n in order])


def expand(site: Site) -> None:
    """Dimensions of one place are repeated."""
    site.write("Expand", site.read(site.args[0]), site.numbers(site.made.shape))


def repeat(site: Site) -> None:
    """The whole several times."""
    x, counts = site.args[:2]
    name = site.read(x)
    if len(counts) > x.value.dim():
        shape = [1] * (len(counts) - x.value.dim()) + list(x.value.shape)
        name = site.step("Reshape", name, site.numbers(shape))
    site.write("Tile", name, site.numbers(counts))


def concat(site: Site) -> None:
    """One after the other."""
    names = [site.read(x, site.made.dtype) for x in site.args[0] if x.value.numel()]
    site.write("Concat", *names, axis=site.at(1, "dim", 0))


def stack(site: Site) -> None:
    """Beside each other in a new dimension."""
    place = site.at(1, "dim", 0) % site.made.dim()
    raised = [site.step("Unsqueeze", site.read(x), site.numbers((place,))) for x in site.args[0]]
    site.write("Concat", *raised, axis=place)


def split(site: Site) -> None:
    """Parts one after the other, each by itself: ``path:part0``, ..."""
    x, dim = site.args[0], site.at(2, "dim", 0)
    name, axis, start = site.read(x), site.numbers((dim,)), 0
    for i, part in enumerate(site.made):
        ends = site.numbers((start,)), site.numbers((start + part.shape[dim],))
        site.writer.node("Slice", [name, *ends, axis], f"{site.path}:part{i}")
        start += part.shape[dim]


def unbind(site: Site) -> None:
    """Every place of a dimension by itself."""
    name, dim = site.read(site.args[0]), site.at(1, "dim", 0)
    for i in range(len(site.made)):
        site.writer.node("Gather", [name, site.read(i)], f"{site.path}:part{i}", axis=dim)


def getitem(site: Site) -> None:
    """One of several."""
    site.write("Identity", f"{site.args[0].name}:part{site.args[1]}")


def select(site: Site) -> None:
    """One place of a dimension."""
    x, dim, place = site.args[:3]
    site.write("Gather", site.read(x), site.read(place % x.value.shape[dim]), axis=dim)


def slices(site: Site) -> None:
    """Places from one to another."""
    dim, start = site.at(1, "dim", 0), site.at(2, "start") or 0
    end = site.at(3, "end")
    end = np.iinfo(np.int64).max if end is None else end
    ends = (site.numbers((n,)) for n in (start, end, dim, site.at(4, "step", 1)))
    site.write("Slice", site.read(site.args[0]), *ends)


def flip(site: Site) -> None:
    """Backwards."""
    dims = site.args[1]
    ends = ([-1] * len(dims), [np.iinfo(np.int64).min] * len(dims), dims, [-1] * len(dims))
    site.write("Slice", site.read(site.args[0]), *map(site.numbers, ends))


def roll(site: Site) -> None:
    """The last places come first."""
    x, shifts, dims = site.args[0], site.args[1], site.at(2, "dims", ())
    if not dims:
        raise site.refused("without dimensions")
    name = site.read(x)
    for shift, dim in zip(_tuple(shifts), _tuple(dims), strict=True):
        n = x.value.shape[dim]
        cut, axis = n - shift % n, site.numbers((dim,))
        parts = [
            site.step("Slice", name, site.numbers((a,)), site.numbers((b,)), axis) for a, b in ((cut, n), (0, cut))
        ]
        name = site.step("Concat", *parts, axis=dim)
    site.write("Identity", name)


def _tuple(value: int | Sequence[int]) -> Sequence[int]:
    return (value,) if isinstance(value, int) else value


def cumsum(site: Site) -> None:
    """Running sums."""
    site.write("CumSum", site.read(site.args[0], site.made.dtype), site.read(site.at(1, "dim")))


def index(site: Site) -> None:
    """Places by a tensor of numbers, of one dimension."""
    x, wanted = site.args[:2]
    given = [i for i, numbers in enumerate(wanted) if numbers is not None]
    if len(given) != 1 or wanted[given[0]].value.is_floating_point() or wanted[given[0]].value.dtype == torch.bool:
        raise site.refused("by a mask, or in several dimensions")
    site.write("Gather", site.read(x), site.read(wanted[given[0]], torch.int64), axis=given[0])


def index_select(site: Site) -> None:
    """Places by a list of numbers."""
    x, dim, numbers = site.args[:3]
    site.write("Gather", site.read(x), site.read(numbers, torch.int64), axis=dim)


def embedding(site: Site) -> None:
    """A row for each number."""
    site.write("Gather", site.read(site.args[0]), site.read(site.args[1], torch.int64))


def gather(site: Site) -> None:
    """Of each row its own places."""
    x, dim, numbers = site.args[:3]
    site.write("GatherElements", site.read(x), site.read(numbers, torch.int64), axis=dim)


def pad(site: Site) -> None:
    """More places before and after."""
    x, around = site.args[:2]
    rank, n = x.value.dim(), len(around) // 2
    before, after = ([0] * (rank - n) + [around[2 * (n - 1 - i) + side] for i in range(n)] for side in (0, 1))
    mode = {"constant": "constant", "reflect": "reflect", "replicate": "edge", "circular": "wrap"}
    constant = site.op.split(".")[1] == "constant_pad_nd"
    kind = "constant" if constant else site.at(2, "mode", "constant")
    value = site.at(2 if constant else 3, "value", None) or 0.0
    extra = [site.read(value, x.value.dtype)] if kind == "constant" else []
    site.write("Pad", site.read(x), site.numbers([*before, *after]), *extra, mode=mode[kind])


def pixel_shuffle(site: Site) -> None:
    """Channels become places."""
    site.write("DepthToSpace", site.read(site.args[0]), blocksize=site.args[1], mode="CRD")


def pixel_unshuffle(site: Site) -> None:
    """Places become channels."""
    x, r = site.args[:2]
    b, c, h, w = x.value.shape
    high = site.step("Reshape", site.read(x), site.numbers((b, c, h // r, r, w // r, r)))
    site.shaped(site.step("Transpose", high, perm=[0, 1, 3, 5, 2, 4]), site.made.shape)


def channel_shuffle(site: Site) -> None:
    """Groups of channels, dealt out."""
    x, groups = site.args[:2]
    b, c, *places = x.value.shape
    high = site.step("Reshape", site.read(x), site.numbers((b, groups, c // groups, *places)))
    order = [0, 2, 1, *range(3, 3 + len(places))]
    site.shaped(site.step("Transpose", high, perm=order), site.made.shape)


def triangle(upper: int) -> Emit:
    """The part of a matrix above, or below, a diagonal."""

    def emit(site: Site) -> None:
        site.write("Trilu", site.read(site.args[0]), site.read(site.at(1, "diagonal", 0)), upper=upper)

    return emit


CALLS: Mapping[str, Emit] = {
    **dict.fromkeys(RESHAPES, reshape),
    **dict.fromkeys(("transpose", "swapaxes", "t", "numpy_T"), transpose),
    **dict.fromkeys(("expand", "expand_as"), expand),
    **dict.fromkeys(("split", "split_with_sizes", "chunk"), split),
    **dict.fromkeys(("pad", "constant_pad_nd"), pad),
    "permute": permute, "movedim": movedim, "repeat": repeat, "cat": concat, "stack": stack, "unbind": unbind,
    "getitem": getitem, "select": select, "slice": slices, "flip": flip, "roll": roll, "cumsum": cumsum,
    "index": index, "index_select": index_select, "embedding": embedding, "gather": gather,
    "pixel_shuffle": pixel_shuffle, "pixel_unshuffle": pixel_unshuffle,
    "channel_shuffle": channel_shuffle, "tril": triangle(0), "triu": triangle(1),
}  # fmt: skip
"""By the name in the middle of ``aten.name.overload``."""
