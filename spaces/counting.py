"""Exact counting over a forest of conditional choices.

Each choice is controlled by at most one earlier choice, so the choices form a forest: below a value of a choice stand
the choices that this value makes present. The number of architectures below a value is the product of the totals
of those choices, and everything else (size, index, uniform sampling) follows from these counts.
"""

from __future__ import annotations

import bisect
import copy
from collections.abc import Iterable, Mapping, Sequence
from itertools import accumulate
from math import prod

import numpy as np
from numpy.typing import NDArray

from spaces.batch import Codes
from spaces.choice import Choice, allowed_codes

_INT64 = 2**63


class Forest:
    """Counts of a space. ``totals[i]`` architectures below choice i; ``counts[i][v]`` below its value v."""

    def __init__(self, choices: Sequence[Choice]) -> None:
        self.widths = [len(c.values) for c in choices]
        self.controls = [allowed_codes(c, choices[:i]) for i, c in enumerate(choices)]
        self.roots = [i for i, control in enumerate(self.controls) if control is None]
        self.children: list[list[list[int]]] = [[[] for _ in range(k)] for k in self.widths]
        for i, control in enumerate(self.controls):
            if control is not None:
                for code in control[1]:
                    self.children[control[0]][code].append(i)
        self._count({})

    def _count(self, fixed: Mapping[int, int]) -> None:
        self.counts: list[list[int]] = [[] for _ in self.widths]
        self.totals = [0] * len(self.widths)
        for i in reversed(range(len(self.widths))):  # a controlling choice stands before what it controls
            here = [prod(self.totals[j] for j in below) for below in self.children[i]]
            self.counts[i] = [n if fixed.get(i, code) == code else 0 for code, n in enumerate(here)]
            self.totals[i] = sum(self.counts[i])
        self.starts = [[0, *accumulate(counts)] for counts in self.counts]

    def given(self, fixed: Mapping[int, int]) -> Forest:
        """The architectures that have these codes (choice -> code) wherever the choice is present."""
        other = copy.copy(self)
        other._count(fixed)
        return other

    @property
    def size(self) -> int:
        """Exact number of distinct architectures."""
        return prod(self.totals[i] for i in self.roots)

    def index(self, codes: Sequence[int]) -> int:
        """Rank of a row of codes in the order of :meth:`at`."""

        def rank(members: Iterable[int]) -> int:
            total = 0
            for i in members:
                total = total * self.totals[i] + self.starts[i][codes[i]] + rank(self.children[i][codes[i]])
            return total

        return rank(self.roots)

    def at(self, index: int) -> list[int]:
        """Row of codes at this rank; inverse of :meth:`index`."""
        codes = [-1] * len(self.widths)

        def place(members: Sequence[int], rest: int) -> None:
            for i in reversed(members):
                rest, here = divmod(rest, self.totals[i])
                codes[i] = bisect.bisect_right(self.starts[i], here) - 1
                place(self.children[i][codes[i]], here - self.starts[i][codes[i]])

        place(self.roots, index)
        return codes

    def draw(self, n: int, rng: np.random.Generator, by_choice: bool = False) -> Codes:
        """(n, choices) codes, uniform over architectures, or with ``by_choice`` every choice over its own values."""
        codes = np.full((n, len(self.widths)), -1, np.int16)
        for i, control in enumerate(self.controls):
            present = np.ones(n, np.bool_) if control is None else np.isin(codes[:, control[0]], control[1])
            rows = np.flatnonzero(present)
            if len(rows):
                codes[rows, i] = (
                    rng.integers(self.widths[i], size=len(rows)) if by_choice else self._draw(i, len(rows), rng)
                )
        return codes

    def _draw(self, i: int, n: int, rng: np.random.Generator) -> NDArray[np.int16]:
        total, starts = self.totals[i], self.starts[i]
        if total < _INT64:
            drawn = rng.integers(total, size=n)
            return (np.searchsorted(np.array(starts), drawn, side="right") - 1).astype(np.int16)
        return np.array([bisect.bisect_right(starts, _below(total, rng)) - 1 for _ in range(n)], np.int16)


def _below(total: int, rng: np.random.Generator) -> int:
    """A uniform integer in range(total), exact for any size, by rejection."""
    bits = total.bit_length()
    while True:
        drawn = int.from_bytes(rng.bytes((bits + 7) // 8), "little") >> (-bits % 8)
        if drawn < total:
            return drawn
