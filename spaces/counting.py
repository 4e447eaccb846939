"""Exact counting over conditional choices, by eliminating one choice after the other from the last to the first.

What stands below a prefix of choices depends on few of them: those that later conditions read, and of their values only
which conditions they make true (a *class* of values). Eliminating choice i multiplies the factors that read it and sums
over its values; what remains is a factor over the classes of the earlier choices in its scope. Size, rank, and uniform
drawing follow from these factors, exactly, with big integers. (Bucket elimination: Dechter 1999, with choices in the
order in which they are written.)
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from itertools import accumulate
from math import prod

import numpy as np
from numpy.typing import NDArray

from spaces.architecture import Codes
from spaces.choice import Choice, allowed_codes

MOST_ENTRIES = 1_000_000
Objects = NDArray[np.object_]  # exact integers of any size
Factor = tuple[tuple[int, ...], Objects]  # the choices it reads, in order, and its value by their classes


class Entangled(ValueError):
    """Conditions tie so many choices together that counting would need too large a table; the message names them."""


class Counts:
    """Counts of the architectures that these choices have.

    Raises :class:`Entangled`, and what :func:`allowed_codes` raises.
    """

    def __init__(self, choices: Sequence[Choice]) -> None:
        self.choices = choices
        self.controls = [allowed_codes(c, choices[:i]) for i, c in enumerate(choices)]
        self._classes = _classes(choices, self.controls)
        self.steps: list[Step] = []
        self.size = self._eliminate({})

    def _eliminate(self, fixed: Mapping[int, int]) -> int:
        """Make the steps, last choice first, and return the product of the factors that depend on nothing."""
        known, made, size = self.steps, [], 1
        buckets: list[list[Factor]] = [[] for _ in self.choices]
        for i in reversed(range(len(self.choices))):
            if i in fixed and fixed.keys() >= set(known[i].scope):
                made.append(known[i])  # all that it would tell others is a constant
                continue
            step = Step(self, i, buckets[i], fixed.get(i))
            made.append(step)
            if step.scope:
                buckets[step.scope[-1]].append((step.scope, step.message))
            else:
                size *= int(step.message[()])
        self.steps = made[::-1]
        return size

    def complete(self, fixed: Mapping[int, int], rng: np.random.Generator) -> list[int]:
        """A row of codes, uniform over those that have the ``fixed`` code of each such choice where it is present."""
        given = copy.copy(self)
        given._eliminate(fixed)
        codes = [-1] * len(self.choices)
        for step in given.steps:
            row = step.row(codes)
            if step.present[row]:
                codes[step.i] = fixed[step.i] if step.i in fixed else _weighted(step.weights[row].tolist(), rng)
        return codes

    def dimension(self, i: int) -> int:
        """Number of classes of a choice."""
        return int(self._classes[i].max()) + 1

    def classes(self, i: int) -> NDArray[np.intp]:
        """Class of each code of choice i; the last entry, which code -1 reads, is that of an absent choice."""
        return self._classes[i]

    def index(self, codes: Sequence[int]) -> int:
        """Rank of a row of codes: architectures stand in the order of their first choice, then their second …"""
        rank, total = 0, self.size
        for step in self.steps:
            row = step.row(codes)
            if step.present[row]:
                weights, code = step.weights[row].tolist(), codes[step.i]
                each = total // sum(weights)
                rank += each * sum(weights[:code])
                total = each * weights[code]
        return rank

    def at(self, index: int) -> list[int]:
        """Row of codes at this rank; inverse of :meth:`index`."""
        codes = [-1] * len(self.choices)
        total = self.size
        for step in self.steps:
            row = step.row(codes)
            if not step.present[row]:
                continue
            weights = step.weights[row].tolist()
            each = total // sum(weights)
            code = 0
            while index >= each * weights[code]:
                index -= each * weights[code]
                code += 1
            codes[step.i] = code
            total = each * weights[code]
        return codes

    def walk(self) -> Iterator[list[int]]:
        """Every row of codes in the order of :meth:`index`; the same list each time, changed in place."""
        widths = [len(choice.values) for choice in self.choices]
        controls = [tuple(control.items()) for control in self.controls]
        codes = [-1] * len(widths)
        changed = 0
        while changed >= 0:
            for i in range(changed, len(codes)):  # what comes after a change starts anew
                codes[i] = 0 if all(codes[j] in allowed for j, allowed in controls[i]) else -1
            yield codes
            changed = len(codes) - 1
            while changed >= 0 and not 0 <= codes[changed] < widths[changed] - 1:
                changed -= 1
            if changed >= 0:
                codes[changed] += 1
                changed += 1

    def draw(self, n: int, rng: np.random.Generator, by_choice: bool = False) -> Codes:
        """(n, choices) codes, uniform over architectures, or with ``by_choice`` every choice over its own values."""
        columns = np.empty((len(self.choices), n), np.int16)
        for step in self.steps:
            rows = step.rows(columns)
            drawn = step.draw(rows, n, rng, by_choice)
            columns[step.i] = drawn if rows is None else np.where(step.present[rows], drawn, -1)
        return columns.T

    def place(self, points: NDArray[np.float64], by_choice: bool = False) -> Codes:
        """Codes of points (n, choices) in [0, 1): each coordinate picks a value of its choice by its share.

        Points that fill the cube evenly give architectures that fill the space evenly.
        """
        columns = np.empty((len(self.choices), len(points)), np.int16)
        for step in self.steps:
            rows = step.rows(columns)
            at = np.zeros(len(points), np.intp) if rows is None else rows
            cuts = step.cuts_by_choice if by_choice else step.cuts
            placed = (points[:, step.i, None] >= cuts[at]).sum(axis=1)
            columns[step.i] = np.where(step.present[at], placed, -1)
        return columns.T


def _classes(choices: Sequence[Choice], controls: Sequence[Mapping[int, frozenset[int]]]) -> list[NDArray[np.intp]]:
    tests: list[set[frozenset[int]]] = [set() for _ in choices]
    for control in controls:
        for j, codes in control.items():
            tests[j].add(codes)
    found = []
    for choice, sets in zip(choices, tests, strict=True):
        truths = [tuple(code in codes for codes in sets) for code in (*range(len(choice.values)), -1)]
        ids = {truth: n for n, truth in enumerate(dict.fromkeys(truths))}
        found.append(np.array([ids[truth] for truth in truths], np.intp))
    return found


class Step:
    """What the counts know about choice ``i``, by *row*: a combination of classes of the earlier choices in ``scope``.

    ``present`` (rows,): whether the choice is there; ``weights`` (rows, values): architectures below each value, up to
    a factor common to the row.
    """

    def __init__(self, counts: Counts, i: int, factors: Sequence[Factor], fixed: int | None) -> None:
        self.i = i
        control = counts.controls[i]
        self.scope = tuple(sorted(set(control).union(*(scope for scope, _ in factors)) - {i}))
        shape = tuple(counts.dimension(j) for j in self.scope)
        if prod(shape) * counts.dimension(i) > MOST_ENTRIES:
            names = ", ".join(counts.choices[j].name for j in (*self.scope, i))
            raise Entangled(f"conditions tie these choices together too closely to count: {names} [entangled]")
        self._strides = [prod(shape[a + 1 :]) for a in range(len(shape))]
        self._classes = [counts.classes(j) for j in self.scope]
        table = np.ones((*shape, counts.dimension(i)), object)
        for scope, factor in factors:
            sizes = [counts.dimension(j) if j in scope else 1 for j in (*self.scope, i)]
            table = table * factor.reshape(sizes)
        present = np.ones(shape, np.bool_)
        for axis, j in enumerate(self.scope):
            if j in control:
                true = np.zeros(shape[axis], np.bool_)
                true[counts.classes(j)[sorted(control[j])]] = True
                present &= true.reshape([-1 if a == axis else 1 for a in range(len(shape))])
        own = counts.classes(i)
        weights = table[..., own[:-1]]
        if fixed is not None:
            weights = weights * (np.arange(weights.shape[-1]) == fixed)
        absent = table[..., own[-1]]
        self.message: Objects = np.asarray(np.where(present, weights.sum(axis=-1), absent), object)
        self.present: NDArray[np.bool_] = present.reshape(-1)
        self.weights: Objects = weights.reshape(-1, weights.shape[-1])

    def row(self, codes: Sequence[int]) -> int:
        """The row of one prefix of codes."""
        return sum(s * int(c[codes[j]]) for s, c, j in zip(self._strides, self._classes, self.scope, strict=True))

    def rows(self, columns: Codes) -> NDArray[np.intp] | None:
        """The rows of many, whose codes are (choices, n); ``None`` if there is only one row."""
        if not self.scope:
            return None
        parts = [s * c[columns[j]] for s, c, j in zip(self._strides, self._classes, self.scope, strict=True)]
        found: NDArray[np.intp] = np.sum(parts, axis=0)
        return found

    def draw(
        self, rows: NDArray[np.intp] | None, n: int, rng: np.random.Generator, by_choice: bool
    ) -> NDArray[np.int16]:
        """Codes (n,), drawn by the weights of their rows; where the choice is absent they mean nothing."""
        values = self.weights.shape[1]
        if values == 1:
            return np.zeros(n, np.int16)
        if by_choice or self._uniform:
            return rng.integers(values, size=n, dtype=np.int16)
        thresholds, rest = self._thresholds
        at = np.zeros(n, np.intp) if rows is None else rows
        bits = rng.integers(_STEPS, size=n)
        codes = np.zeros(n, np.int16)
        doubt = np.zeros(n, np.bool_)
        for j in range(values - 1):
            limit = thresholds[j][at]
            codes += bits >= limit
            doubt |= bits == limit
        for k in np.flatnonzero(doubt):  # once in 10^18 draws: 62 bits do not decide
            row = at[k]
            below = _below(int(self._totals[row]), rng)
            codes[k] = sum(
                bool(bits[k] > thresholds[j][row] or (bits[k] == thresholds[j][row] and below >= rest[j][row]))
                for j in range(values - 1)
            )
        return codes

    @cached_property
    def _uniform(self) -> bool:
        """Whether every value has the same weight wherever the choice is present."""
        there = self.weights[self.present]
        return bool((there == there[:, :1]).all())

    @cached_property
    def _totals(self) -> Objects:
        totals: Objects = np.maximum(self.weights.sum(axis=1), 1)
        return totals

    @cached_property
    def _thresholds(self) -> tuple[list[NDArray[np.int64]], list[Objects]]:
        """Per value but the first: the share of all before it in 62 bits (rows,), and what is left of it over total."""
        scaled = [self.weights[:, : j + 1].sum(axis=1) * _STEPS for j in range(self.weights.shape[1] - 1)]
        return [(s // self._totals).astype(np.int64) for s in scaled], [s % self._totals for s in scaled]

    @cached_property
    def cuts(self) -> NDArray[np.float64]:
        """(rows, values - 1): where in [0, 1) one value ends and the next begins."""
        thresholds, _ = self._thresholds
        return np.array([t / _STEPS for t in thresholds], np.float64).reshape(len(thresholds), len(self.weights)).T

    @property
    def cuts_by_choice(self) -> NDArray[np.float64]:
        """As :attr:`cuts`, with an equal share for every value."""
        values = self.weights.shape[1]
        return np.tile(np.arange(1, values) / values, (len(self.weights), 1))


_STEPS = 2**62


def _weighted(weights: Sequence[int], rng: np.random.Generator) -> int:
    """A code drawn with these weights."""
    drawn = _below(sum(weights), rng)
    return next(code for code, end in enumerate(accumulate(weights)) if drawn < end)


def _below(total: int, rng: np.random.Generator) -> int:
    """A uniform integer in range(total), exact for any size, by rejection."""
    if total < 2**63:
        return int(rng.integers(total))
    bits = total.bit_length()
    while True:
        drawn = int.from_bytes(rng.bytes((bits + 7) // 8), "little") >> (-bits % 8)
        if drawn < total:
            return drawn
