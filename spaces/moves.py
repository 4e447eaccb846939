"""Moves between architectures, and draws that cover a space evenly or keep a limit.

All of them stay inside the space: what a move makes absent goes, what it makes present gets a value.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Literal

import numpy as np

from spaces.architecture import Architecture, Codes
from spaces.batch import Batch
from spaces.choice import Choice, Value

if TYPE_CHECKING:
    from spaces.space import Space

Method = Literal["sobol", "halton", "latin"]
MOST_DRAWS = 100_000
_DRAWN_AT_ONCE = 4_096


class TooRare(ValueError):
    """Too few of the drawn architectures keep the limits; the message says how many did and what was drawn."""


def neighbours(space: Space, architecture: Architecture) -> Iterator[Architecture]:
    """Every architecture one decision away, each once, in the order of choices and values.

    Two architectures are neighbours if exactly one choice that both have differs. So where the decision makes other
    choices present, all their values follow, and being neighbours is mutual. There may be very many: it is lazy.
    """
    values = space.architecture(architecture)
    for choice in space.choices:
        if choice.name not in values:
            continue
        for value in choice.values:
            if choice.code(value) != choice.code(values[choice.name]):
                yield from _completions(space, {**values, choice.name: value}, {}, 0)


def _completions(
    space: Space, wanted: Mapping[str, Value], made: dict[str, Value], start: int
) -> Iterator[Architecture]:
    """All architectures with the wanted value of each choice that has one, once it is present."""
    for i in range(start, len(space.choices)):
        choice = space.choices[i]
        if not choice.present(made):
            continue
        if choice.name not in wanted:
            for value in choice.values:
                yield from _completions(space, wanted, {**made, choice.name: value}, i + 1)
            return
        made[choice.name] = wanted[choice.name]
    yield space.architecture(made)


def mutate(space: Space, architecture: Architecture, rng: np.random.Generator) -> Architecture:
    """A neighbour: one drawn decision takes another drawn value; choices that it makes present are drawn.

    Returns the same architecture only if no present choice has a second value.
    """
    open_choices = [c for c in space.choices if c.name in architecture and len(c.values) > 1]
    if not open_choices:
        return architecture
    choice = open_choices[int(rng.integers(len(open_choices)))]
    others = [v for v in choice.values if choice.code(v) != choice.code(architecture[choice.name])]
    return space.complete({**architecture, choice.name: others[int(rng.integers(len(others)))]}, rng)


def crossover(space: Space, a: Architecture, b: Architecture, rng: np.random.Generator) -> Architecture:
    """A child of two: each present choice takes the value of a drawn parent that has it; one that neither has is drawn.

    (Uniform crossover, Syswerda 1989, on the choices that are present.)
    """
    made: dict[str, Value] = {}
    for choice in space.choices:
        if choice.present(made):
            made[choice.name] = _inherited(choice, [p[choice.name] for p in (a, b) if choice.name in p], rng)
    return space.architecture(made)


def _inherited(choice: Choice, of_parents: list[Value], rng: np.random.Generator) -> Value:
    values = of_parents or choice.values
    return values[int(rng.integers(len(values)))]


def recombine(space: Space, a: Codes, b: Codes, rng: np.random.Generator, rate: float) -> Codes:
    """Children (n, choices) of rows of parents: :func:`crossover`, many at once, and then mutation.

    Every present choice takes a drawn value with probability ``rate``, and where neither parent has one.
    """
    of_a = rng.random(a.shape) < 0.5
    wanted = np.where((of_a & (a >= 0)) | (b < 0), a, b)
    wanted[rng.random(a.shape) < rate] = -1
    return settle(space, wanted, rng)


def mutants(space: Space, row: Codes, n: int, rng: np.random.Generator) -> Codes:
    """``n`` rows that each differ from ``row`` in one decision, as :func:`mutate` does one; what appears is drawn."""
    sizes = np.array([len(choice.values) for choice in space.choices])
    open_ = np.flatnonzero((row >= 0) & (sizes > 1))
    wanted = np.repeat(row[None], n, axis=0)
    if len(open_):
        at = open_[rng.integers(len(open_), size=n)]
        wanted[np.arange(n), at] = (row[at] + 1 + rng.integers(sizes[at] - 1)) % sizes[at]
    return settle(space, wanted, rng)


def settle(space: Space, wanted: Codes, rng: np.random.Generator) -> Codes:
    """Rows of codes of the space: the wanted value of each choice that is present, a drawn one where it is -1."""
    columns = np.empty((len(space.choices), len(wanted)), np.int16)
    for i, (choice, control) in enumerate(zip(space.choices, space.controls, strict=True)):
        column = wanted[:, i]
        if (column < 0).any():
            column = np.where(column < 0, rng.integers(len(choice.values), size=len(wanted), dtype=np.int16), column)
        for parent, allowed in control:
            column = np.where(allowed[columns[parent]], column, np.int16(-1))
        columns[i] = column
    return columns.T


def spread(space: Space, n: int, rng: np.random.Generator, method: Method = "latin", by_choice: bool = False) -> Batch:
    """``n`` architectures that fill the space more evenly than independent draws.

    Each is distributed as :meth:`Space.sample_many` says (with ``by_choice`` every value of a choice is as frequent as
    the others, which training sets of predictors want), but together they are spread by a low-discrepancy sequence of
    ``scipy.stats.qmc``: every coordinate of a point picks the value of one choice by its share.
    """
    from scipy.stats import qmc

    scrambling = np.random.default_rng(int(rng.integers(2**63)))  # ours are made from keys, and qmc wants to spawn
    dimensions = max(1, len(space.choices))
    if method == "sobol":  # balanced in powers of two only
        points = qmc.Sobol(dimensions, rng=scrambling).random_base2(max(0, (n - 1).bit_length()))[:n]
    else:
        engine = {"halton": qmc.Halton, "latin": qmc.LatinHypercube}[method]
        points = engine(dimensions, rng=scrambling).random(n)
    return space.place(points[:, : len(space.choices)], by_choice)


def sample_within(
    space: Space, n: int, limits: Mapping[str, float], rng: np.random.Generator, most_draws: int = MOST_DRAWS
) -> Batch:
    """``n`` independent architectures, uniform over those whose counted costs keep all ``limits``, by rejection.

    Raises :class:`TooRare` after ``most_draws`` draws, and ``ValueError`` for a cost that is not counted.
    """
    kept: list[np.ndarray] = []
    found = drawn = 0
    least = dict.fromkeys(limits, np.inf)
    while found < n:
        if drawn >= most_draws:
            said = ", ".join(
                f"{name} <= {limit:g} (the least drawn: {least[name]:g})" for name, limit in limits.items()
            )
            raise TooRare(f"{found} of {drawn} drawn architectures of space {space.name} keep {said} [too-rare]")
        batch = space.sample_many(min(_DRAWN_AT_ONCE, most_draws - drawn), rng)
        costs = space.cost(batch)
        if unknown := sorted(limits.keys() - costs.keys()):
            raise ValueError(f"no counted cost {unknown[0]!r}; counted: {', '.join(costs)} [unknown-name]")
        good = np.ones(len(batch), np.bool_)
        for name, limit in limits.items():
            good &= costs[name] <= limit
        least = {name: min(least[name], costs[name].min()) for name in limits}
        kept.append(batch.codes[good])
        found += int(good.sum())
        drawn += len(batch)
    return Batch(space, np.concatenate(kept)[:n] if kept else space.sample_many(0, rng).codes)
