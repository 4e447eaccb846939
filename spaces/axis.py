"""One dimension of a tensor whose parts may be chosen: sums of products, as joining and reshaping make them.

Joining tensors along a dimension puts *segments* after one another; flattening dimensions into one makes a product of
*factors*, from the outermost to the innermost. Each factor keeps the first ``size`` of its ``of`` places, so what is
kept of the dimension are ranges of it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from math import prod
from typing import Any

Ranges = tuple[tuple[int, int], ...]


@dataclass(frozen=True)
class Factor:
    """``of`` places, of which the choice ``name`` says how many there are; all of them where there is none."""

    of: int
    name: str | None = None


@dataclass(frozen=True)
class Axis:
    """Segments after one another, each a product of factors, the outermost first; no factors are one place."""

    segments: tuple[tuple[Factor, ...], ...]

    @cached_property
    def _hash(self) -> int:
        return hash(self.segments)

    def __hash__(self) -> int:
        """Taken once: axes of joined tensors are long, and looked up often."""
        return self._hash

    @cached_property
    def most(self) -> int:
        """Places of the largest form."""
        return sum(prod(f.of for f in factors) for factors in self.segments)

    @cached_property
    def names(self) -> tuple[str, ...]:
        """Choices that it reads."""
        return tuple(dict.fromkeys(f.name for factors in self.segments for f in factors if f.name is not None))

    def places(self, size: Callable[[str], Any]) -> Any:
        """How many there are; ``size`` is the value of a choice, an integer or an array (n,) of them."""
        found = 0
        for factors in self.segments:
            places = 1
            for factor in factors:
                places = places * (factor.of if factor.name is None else size(factor.name))
            found = found + places
        return found

    def ranges(self, size: Callable[[str], int]) -> Ranges:
        """Where what is kept stands in the largest form, in order; ``size`` is the value of a choice."""
        found: list[tuple[int, int]] = []
        start = 0
        for factors in self.segments:
            inner, places = [(0, 1)], 1
            for factor in reversed(factors):
                kept = factor.of if factor.name is None else size(factor.name)
                if len(inner) == 1 and inner[0] == (0, places):
                    inner = [(0, kept * places)]
                else:
                    inner = merged([(i * places + a, i * places + b) for i in range(kept) for a, b in inner])
                places *= factor.of
            found += [(start + a, start + b) for a, b in inner]
            start += places
        return tuple(merged(found))


def merged(ranges: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """Adjacent ranges as one."""
    joined: list[tuple[int, int]] = []
    for start, stop in ranges:
        if joined and joined[-1][1] == start:
            joined[-1] = joined[-1][0], stop
        else:
            joined.append((start, stop))
    return joined
