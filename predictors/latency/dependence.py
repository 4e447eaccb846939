"""Which choices the work of one layer depends on, its conversions included: few, however large the space.

Shapes vary with the choices that tables over all candidates show; who made a tensor and in which form it is stored
follow from the conditions and precisions of its maker and of its readers, as :mod:`spaces.resolve` says.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from predictors.latency.blocks import BLOCKED
from predictors.latency.standing import standing
from spaces import INPUT, Batch, Record, Space
from spaces.choice import Value, same
from spaces.layers import FUSED, WEIGHTED
from spaces.outline import of_batch
from spaces.resolve import RUNS8, draft_of, exists_in, whole, words_of
from spaces.single import choices_of, names_in

Names = frozenset[str]
MOST = 2**18  # combinations of the choices that one layer may depend on
_NONE: Names = frozenset()
_NETWORK = -1  # the row of the network's input


class TooManyChoices(ValueError):
    """A layer whose work depends on too many choices at once to be tabulated; the message names it."""


def combinations(space: Space, names: Collection[str]) -> int:
    """How many these choices have."""
    return prod(len(space.choices[space.column[name]].values) for name in names)


class Grid:
    """Every combination of some choices, all others at their first value: ``batch`` (n,) of architectures.

    Combinations that differ in absent choices alone are one architecture, several times. Raises
    :class:`TooManyChoices` for ``path``, whose choices they are.
    """

    def __init__(self, space: Space, names: Collection[str], path: str) -> None:
        self.names = tuple(sorted(names, key=space.column.__getitem__))
        self.shape = tuple(len(space.choices[space.column[name]].values) for name in self.names)
        n = prod(self.shape)
        if n > MOST:
            what = f"{path}: its work depends on {len(names)} choices at once, which have {n:,} combinations"
            raise TooManyChoices(f"{what}, more than {MOST:,} [too-many]")
        codes = np.zeros((n, len(space.choices)), np.int16)
        self.places = dict(zip(self.names, np.indices(self.shape).reshape(len(self.shape), n), strict=True))
        for name, places in self.places.items():
            codes[:, space.column[name]] = places
        for i, control in enumerate(space.controls):
            for j, allows in control:
                codes[~allows[codes[:, j]], i] = -1
        self.batch = Batch(space, codes)

    def varying(self, values: NDArray[np.generic]) -> Names:
        """The choices along which ``values`` (n,) change."""
        table = values.reshape(self.shape)
        return frozenset(name for axis, name in enumerate(self.names) if (table != table.take([0], axis=axis)).any())


class Dependence:
    """Of the records of a space. ``whole``: that of a space that this is a part of, whose shapes vary with no fewer.

    Raises :class:`TooManyChoices`.
    """

    def __init__(self, space: Space, whole: Dependence | None = None) -> None:
        self.space, self._whole = space, whole
        self.records = space.outline.records
        self._when = {c.name: [w.name for w in c.when] for c in space.choices}
        self._values = {c.name: c.values for c in space.choices}
        self._stands = standing(self.records)
        self._seen = {INPUT: self._of_input()}  # shape of a tensor, as its readers see it
        self._sources = {INPUT: _NONE}  # what decides who made it
        self._rows: dict[str, frozenset[int]] = {INPUT: frozenset({_NETWORK})}  # who that may be
        self._exists = [self._closed(c.name for c in r.exists_when) for r in self.records]
        for i, r in enumerate(self.records):
            self._add(i, r)
        self._readers: dict[int, list[tuple[int, str]]] = {row: [] for row in range(-1, len(self.records))}
        for j, r in enumerate(self.records):
            for name in dict.fromkeys(r.inputs) if self.works(r) else ():
                for row in self._rows[name]:
                    self._readers[row].append((j, name))
        self._integer = [self._kernel(i) for i in range(len(self.records))]
        self._wanted = {row: self._wish(row) for row in self._readers}
        self._stored = {row: self._form(row) for row in self._readers}
        self._runs8 = [self._makes(i) for i in range(len(self.records))]

    def works(self, r: Record) -> bool:
        """Whether it ever is a layer."""
        there = all(any(same(v, w) for v in self._values.get(c.name, ()) for w in c.values) for c in r.exists_when)
        return there and r.kind != "select"

    def of(self, i: int) -> Names:
        """Names of the choices that the work at record ``i`` depends on, and of those that make them present."""
        r = self.records[i]
        found = self._exists[i] | self._closed(choices_of(r)) | (self._stored[i] or _NONE) | self._runs8[i]
        for name in r.inputs:
            found |= self._seen[name].names
            rows = self._rows[name]
            stored = [row for row in rows if self._stored[row] is not None]
            lies = {self._stands[self.records[row].path if row >= 0 else INPUT] for row in rows}
            blocked = [row for row in rows if row >= 0 and self.records[row].kind in BLOCKED]
            if stored or len(lies) > 1 or (len(rows) > 1 and (blocked or _NETWORK in rows)):
                found |= self._sources[name]  # else it is the same work, whoever made it
            found = found.union(*(self._runs8[row] for row in blocked))
            for row in stored:
                found |= (self._stored[row] or _NONE) | (self._runs8[row] if row >= 0 else _NONE)
                # An earlier reader may have converted it.
                found = found.union(*(self._reads(j, seen) for j, seen in self._readers[row] if j < i))
        return found

    def _closed(self, names: Iterable[str]) -> Names:
        """With the choices that make these present, those that have one value left out."""
        found: set[str] = set()
        left = list(names)
        while left:
            name = left.pop()
            if name not in found and name in self._when:
                found.add(name)
                left += self._when[name]
        return frozenset(name for name in found if len(self._values[name]) > 1)

    # -- shapes and makers

    def _of_input(self) -> _Seen:
        grid = Grid(self.space, self._closed(names_in([self.space.outline.resolution])), INPUT)
        return _Seen.of(grid, self.space.outline.input_sizes(grid.batch))

    def _add(self, i: int, r: Record) -> None:
        exists, selects = self._exists[i], r.kind == "select"
        if not self.works(r) and not selects:
            before = r.inputs[0]
            self._rows[r.path], self._sources[r.path] = self._rows[before], self._sources[before]
            self._seen[r.path] = self._seen[before]
            return
        passes = r.inputs if selects else r.inputs[:1] if exists else ()
        made: frozenset[int] = frozenset() if selects else frozenset({i})
        self._rows[r.path] = made.union(*(self._rows[name] for name in passes))
        decides = exists | self._closed(choices_of(r)) if selects else exists
        self._sources[r.path] = decides.union(*(self._sources[name] for name in passes))
        self._seen[r.path] = self._shape(r, exists) if self._whole is None else self._part(self._whole._seen[r.path])

    def _part(self, seen: _Seen) -> _Seen:
        return _Seen(self._closed(seen.names), seen.order, seen.sizes)

    def _shape(self, r: Record, exists: Names) -> _Seen:
        own = self._closed(choices_of(replace(r, precision="float")))
        if r.call is not None:
            return _Seen(exists | own | self._closed(names_in(r.call.dims)), (), np.zeros(3, np.int64))
        inputs = [self._seen[name] for name in r.inputs]
        grid = Grid(self.space, (exists | own).union(*(seen.names for seen in inputs)), r.path)
        n, nothing = len(grid.batch), np.zeros(len(grid.batch), np.int64)
        given = np.stack([seen.on(grid) for seen in inputs])  # (inputs, 3, n)

        def read(name: str) -> tuple[NDArray[np.bool_], Sequence[Value], NDArray[np.int64]]:
            return of_batch(grid.batch, name)

        there = exists_in(r.exists_when, n, read)
        if r.kind == "select":
            chosen = whole(r.rows, nothing, read) * there
            return _Seen.of(grid, np.take_along_axis(given, chosen[None, None], axis=0)[0])
        draft = draft_of(r, there, nothing[:, None], [tuple(shape) for shape in given], n, read)
        return _Seen.of(grid, np.where(there, [draft["c_out"], draft["out_h"], draft["out_w"]], given[0]))

    # -- formats: what decides them, and None where the answer is never

    def _reads(self, j: int, name: str) -> Names:
        return self._exists[j] | self._sources[name]

    def _kernel(self, i: int) -> Names | None:
        """Whether the kernel of a layer with weights computes with integers."""
        r = self.records[i]
        if r.kind not in WEIGHTED or not self.works(r) or not any(p.integer for p in self.space.precisions[r.path]):
            return None
        return self._exists[i] | self._closed(names_in([r.precision]))

    def _wish(self, row: int) -> Names | None:
        """Whether a reader wants a tensor in 8 bits."""
        found = [(self._integer[j], self._reads(j, name)) for j, name in self._readers[row]]
        wishes = [integer | reads for integer, reads in found if integer is not None]
        return _NONE.union(*wishes) if wishes else None

    def _form(self, row: int) -> Names | None:
        """Whether it is stored so: a reader wants it, or a convolution can write nothing else."""
        r = self.records[row] if row >= 0 else None
        writes8 = None
        if r is not None and r.kind == "conv" and FUSED.intersection(words_of(r.activation, self._values)):
            integer = self._integer[row]
            writes8 = None if integer is None else integer | self._closed(names_in([r.activation]))
        answers = [names for names in (self._wanted[row], writes8) if names is not None]
        return _NONE.union(*answers) if answers else None

    def _makes(self, i: int) -> Names:
        """Whether it is made by a kernel that computes with integers."""
        r = self.records[i]
        wanted = self._wanted[i]
        if r.kind not in RUNS8 or wanted is None:
            return self._integer[i] or _NONE
        found = self._exists[i] | wanted
        for name in r.inputs:
            found = found.union(self._sources[name], *(self._stored[row] or _NONE for row in self._rows[name]))
        return found


@dataclass(frozen=True)
class _Seen:
    """Shape of a tensor: ``sizes`` (3, …) by the choices that it varies with, an axis for each in ``order``."""

    names: Names
    order: tuple[str, ...]
    sizes: NDArray[np.int64]

    @classmethod
    def of(cls, grid: Grid, sizes: NDArray[np.int64]) -> _Seen:
        """``sizes`` (3, n) on a grid."""
        names = frozenset().union(*(grid.varying(size) for size in sizes))
        at: tuple[Any, ...] = (slice(None), *(slice(None) if name in names else 0 for name in grid.names))
        order = tuple(name for name in grid.names if name in names)
        return cls(names, order, sizes.reshape(3, *grid.shape)[at])

    def on(self, grid: Grid) -> NDArray[np.int64]:
        """(3, n) on another grid, of more choices."""
        at: tuple[Any, ...] = (slice(None), *(grid.places[name] for name in self.order))
        sizes = self.sizes[at]
        return sizes if self.order else np.repeat(sizes[:, None], len(grid.batch), axis=1)
