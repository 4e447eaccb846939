"""Axes of traced tensors, and which of them are one.

The places of a dimension are those of *atoms*: a dimension is a sum of segments (what was joined), each a product of
atoms (what was flattened), the outermost first. An operation that works element by element makes the atoms of its
inputs one; a reshape or a split takes an atom apart, everywhere at once. What is left is the partition of all channels
of a network into groups that can only shrink together. (Dependency groups: Fang et al. 2023, "DepGraph"; here they are
found by the operations' algebra instead of by patterns, so that reshaped, split and joined channels stay elastic.)
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from math import gcd, prod

Segment = tuple[int, ...]
Dim = tuple[Segment, ...]
Dims = tuple[Dim, ...]
ONE: Dim = ((),)
"""A dimension of one place."""
_MOST_SEGMENTS = 4_096  # a sum that would have more is held fast instead


@dataclass
class Atom:
    """So many places. ``parts``: what it was taken apart into; ``pin``: why it cannot shrink."""

    size: int
    parts: Dim | None = None
    pin: str | None = None
    tags: set[str] = field(default_factory=set)


class Atoms:
    """All atoms of a network. Dimensions name atoms by number; :meth:`seen` says what has become of them."""

    def __init__(self) -> None:
        self._atoms: list[Atom] = []
        self._parent: list[int] = []

    def new(self, size: int, pin: str | None = None) -> Dim:
        """A dimension of its own."""
        if size == 1:
            return ONE
        self._atoms.append(Atom(size, pin=pin))
        self._parent.append(len(self._parent))
        return ((len(self._parent) - 1,),)

    def root(self, atom: int) -> int:
        """The one that stands for all that are one with it."""
        while self._parent[atom] != atom:
            self._parent[atom] = self._parent[self._parent[atom]]
            atom = self._parent[atom]
        return atom

    def of(self, atom: int) -> Atom:
        """What is known of an atom."""
        return self._atoms[self.root(atom)]

    def size(self, dim: Dim) -> int:
        """Places of a dimension."""
        return sum(prod(self.of(a).size for a in segment) for segment in dim)

    def pin(self, dim: Dim, why: str) -> None:
        """No part of it shrinks; the first reason stays."""
        for segment in self.seen(dim):
            for a in segment:
                self._pin(a, why)

    def _pin(self, atom: int, why: str) -> None:
        found = self.of(atom)
        found.pin = found.pin or why

    def tag(self, dim: Dim, word: str) -> None:
        """Say what its atoms are."""
        for segment in self.seen(dim):
            for a in segment:
                self.of(a).tags.add(word)

    def seen(self, dim: Dim) -> Dim:
        """The dimension in atoms that are whole."""
        return tuple(found for segment in dim for found in self._expanded(segment))

    def _expanded(self, segment: Segment) -> list[Segment]:
        sums: list[Segment] = [()]
        for atom in segment:
            root = self.root(atom)
            parts = self._atoms[root].parts
            inner: Sequence[Segment] = ((root,),) if parts is None else self.seen(parts)
            sums = self._times(sums, inner)
        return sums

    def _times(self, outer: list[Segment], inner: Sequence[Segment]) -> list[Segment]:
        """Products of sums: (a + b) c is a c + b c, and a (b + c) is as many times b + c as a has places."""
        if len(inner) == 1:
            return [segment + inner[0] for segment in outer]
        why = "it stands outside of channels that were joined or split"
        found: list[Segment] = []
        for segment in outer:
            for a in segment:
                self._pin(a, why)
            found += list(inner) * prod(self.of(a).size for a in segment)
        if len(found) > _MOST_SEGMENTS:
            raise OverflowError(why)
        return found

    # -- what operations make one, and take apart

    def one(self, first: Dim, second: Dim, where: str) -> None:
        """Two dimensions of the same size go place by place: they shrink together, or not at all."""
        a, b = self.seen(first), self.seen(second)
        if a == b:
            return
        assert self.size(a) == self.size(b), (where, self.size(a), self.size(b))
        if len(a) == 1 and len(b) == 1:
            made = self._products(a[0], b[0])
        elif len(a) == 1 and len(a[0]) == 1:
            made = self._becomes(a[0][0], b)
        elif len(b) == 1 and len(b[0]) == 1:
            made = self._becomes(b[0][0], a)
        else:
            made = self._sums(a, b, where)
        if not made:
            why = f"its channels meet others that are grouped otherwise, at {where}"
            self.pin(a, why)
            self.pin(b, why)

    def _becomes(self, atom: int, dim: Dim) -> bool:
        if any(a == atom for segment in dim for a in segment):
            return False
        found = self.of(atom)
        if found.pin is not None:
            self.pin(dim, found.pin)
        found.parts = dim
        return True

    def _sums(self, a: Dim, b: Dim, where: str) -> bool:
        """Segment by segment; one that is a single atom is cut where the other ends."""
        left, right = list(a), list(b)
        while left and right:
            p, q = left.pop(0), right.pop(0)
            n, m = self.size((p,)), self.size((q,))
            if n == m:
                self.one((p,), (q,), where)
                continue
            longer, rest, short = (p, left, m) if n > m else (q, right, n)
            if len(longer) != 1:
                return False
            self.cut(longer, [short, abs(n - m)])
            rest[:0] = self.seen((longer,))
            (right if n > m else left).insert(0, q if n > m else p)
        return True

    def _products(self, p: Segment, q: Segment) -> bool:
        left, right = list(p), list(q)
        while left and right:
            a, b = self.root(left.pop(0)), self.root(right.pop(0))
            n, m = self.of(a).size, self.of(b).size
            if n == m:
                self._join(a, b)
                continue
            common = gcd(n, m)
            if common == 1:
                return False
            for atom, size, rest in ((a, n, left), (b, m, right)):
                if size > common:
                    rest[:0] = self._apart(atom, common)
                else:
                    rest.insert(0, atom)
        return not left and not right

    def _join(self, a: int, b: int) -> None:
        if a == b:
            return
        first, second = self._atoms[a], self._atoms[b]
        first.pin, first.tags = first.pin or second.pin, first.tags | second.tags
        self._parent[b] = a

    def _apart(self, atom: int, outer: int) -> Segment:
        """An atom as a product of two, the outer of this size."""
        found = self.of(atom)
        made = self.new(outer, found.pin)[0] + self.new(found.size // outer, found.pin)[0]
        found.parts = (made,)
        return made

    def cut(self, segment: Segment, sizes: Sequence[int]) -> bool:
        """Take one atom apart into segments of these sizes."""
        if len(segment) != 1:
            return False
        found = self.of(segment[0])
        found.parts = tuple(self.new(size, found.pin)[0] for size in sizes)
        return True

    def parted(self, dim: Dim, sizes: Sequence[int], where: str) -> list[Dim]:
        """Cut a dimension into consecutive parts of these sizes (``torch.split``)."""
        left = list(self.seen(dim))
        found: list[Dim] = []
        for size in sizes:
            part: list[Segment] = []
            while size > 0 and left:
                segment = left.pop(0)
                n = self.size((segment,))
                if n <= size:
                    part.append(segment)
                    size -= n
                elif len(segment) == 1:
                    self.cut(segment, [size, n - size])
                    left[:0] = self.seen((segment,))
                elif n % size == 0 and self._cut_outer(segment, n // size):
                    left[:0] = self.seen((segment,))
                else:
                    return self._lost(dim, sizes, f"it is split within its groups at {where}")
            found.append(tuple(part) or ONE)
        return found

    def _cut_outer(self, segment: Segment, pieces: int) -> bool:
        """Take the outermost atom apart into so many equal segments."""
        size = self.of(segment[0]).size
        return size % pieces == 0 and self.cut(segment[:1], [size // pieces] * pieces)

    def _lost(self, dim: Dim, sizes: Sequence[int], why: str) -> list[Dim]:
        self.pin(dim, why)
        return [self.new(size, why) for size in sizes]

    def reshaped(self, dims: Sequence[Dim], sizes: Sequence[int], where: str) -> Dims:
        """The dimensions of a reshaped tensor (``torch.reshape``), row by row."""
        made: list[Dim] = []
        i = j = 0
        while i < len(dims) or j < len(sizes):
            n, m = (self.size(dims[i]) if i < len(dims) else 1), (sizes[j] if j < len(sizes) else 1)
            left, right = list(dims[i : i + 1]), list(sizes[j : j + 1])
            i, j = i + 1, j + 1
            while n != m:
                if n < m:
                    left.append(dims[i])
                    n, i = n * self.size(dims[i]), i + 1
                else:
                    right.append(sizes[j])
                    m, j = m * sizes[j], j + 1
            if len(left) == 1 and len(right) == 1:
                made += left
            else:
                made += self._regrouped(left, right, where)
        return tuple(made)

    def _regrouped(self, dims: Sequence[Dim], sizes: Sequence[int], where: str) -> list[Dim]:
        why = f"it is regrouped at {where}"
        flat = self.product(dims)
        if flat is None:
            for dim in dims:
                self.pin(dim, why)
            return [self.new(size, why) for size in sizes]
        return self._unflattened(flat, list(sizes), why)

    def product(self, dims: Sequence[Dim]) -> Dim | None:
        """Several dimensions as one; ``None`` where no sum of products says it."""
        sums: list[Segment] = [()]
        try:
            for dim in dims:
                sums = self._times(sums, self.seen(dim))
        except OverflowError:
            return None
        return tuple(sums)

    def _unflattened(self, flat: Dim, sizes: list[int], why: str) -> list[Dim]:
        if len([size for size in sizes if size > 1]) <= 1:
            return [flat if size > 1 else ONE for size in sizes]
        if sizes[0] == 1:
            return [ONE, *self._unflattened(flat, sizes[1:], why)]
        if len(flat) > 1:
            each, rest = len(flat) // sizes[0], prod(sizes[1:])
            parts = [flat[k * each : (k + 1) * each] for k in range(sizes[0])]
            if len(flat) % sizes[0] or any(self.size(part) != rest for part in parts):
                return self._lost(flat, sizes, why)
            for part in parts[1:]:
                self.one(parts[0], part, why)
            return [self.new(sizes[0], why), *self._unflattened(self.seen(parts[0]), sizes[1:], why)]
        left = list(flat[0])
        found: list[Dim] = []
        for size in sizes:
            factor: list[int] = []
            while size > 1:
                atom = self.root(left.pop(0))
                n = self.of(atom).size
                if size % n == 0:
                    factor.append(atom)
                    size //= n
                elif n % size == 0:
                    outer, inner = self._apart(atom, size)
                    factor.append(outer)
                    left.insert(0, inner)
                    size = 1
                else:
                    return self._lost(flat, sizes, why)
            found.append((tuple(factor),))
        return found
