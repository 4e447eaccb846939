"""A search space: named choices, exact arithmetic over them, and the outline of the networks they describe."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from functools import cached_property
from itertools import islice
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spaces import moves
from spaces.architecture import Architecture, Canonical
from spaces.batch import Batch
from spaces.choice import Choice, Value
from spaces.cost import cost
from spaces.counting import Counts
from spaces.encoding import Encoding
from spaces.extent import Extent, extents
from spaces.extremes import Pick, with_words, words
from spaces.layers import WEIGHTED
from spaces.menu import Menu
from spaces.notations.base import Notation
from spaces.outline import Outline
from spaces.precision import Precision, parse
from spaces.resolve import precisions_of
from spaces.restrict import restricted
from spaces.yaml.writer import dump

_CHUNK = 1024  # architectures enumerated at a time


class Space:
    """Everything that may be chosen.

    ``choices`` in order, a controlling choice before those it controls; ``outline`` the layers as data.

    Raises:
        ValueError: two choices of one name, or a condition on a choice that does not stand earlier.
    """

    def __init__(
        self, name: str, choices: tuple[Choice, ...], outline: Outline, notation: Notation | None = None
    ) -> None:
        names = [c.name for c in choices]
        if len(set(names)) != len(names):
            raise ValueError(f"two choices have one name: {sorted(n for n in set(names) if names.count(n) > 1)}")
        self.name = name
        self.choices = choices
        self.outline = outline
        self.notation = notation
        self.document: Mapping[str, Any] | None = None  # the sections of the file that it was read from
        self.column = {c.name: i for i, c in enumerate(choices)}
        self.canonical = Canonical(choices)
        self._counts = Counts(choices)
        self._extremes: dict[tuple[Pick, str], Architecture] = {}

    @cached_property
    def controls(self) -> list[list[tuple[int, NDArray[np.bool_]]]]:
        """Of each choice: (position of a choice it depends on, which codes of that allow it; the last is for -1)."""
        found = []
        for control in self._counts.controls:
            tables = {j: np.zeros(len(self.choices[j].values) + 1, np.bool_) for j in control}
            for j, codes in control.items():
                tables[j][sorted(codes)] = True
            found.append(list(tables.items()))
        return found

    @property
    def size(self) -> int:
        """Exact number of distinct architectures; absent choices are counted once."""
        return self._counts.size

    @cached_property
    def digest(self) -> str:
        """16 hex digits over choices and outline: equal exactly for spaces that build the same supernet."""
        facts: dict[str, Any] = {"choices": [repr(c) for c in self.choices], "outline": self.outline.to_json()}
        return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()[:16]

    def to_yaml(self) -> str:
        """A file that reads as the same space. Raises ``ValueError`` for one that was not read from a file."""
        if self.document is None:
            raise ValueError(f"space {self.name} was not read from a file: there is nothing to write")
        return dump(self.document)

    # -- architectures

    def architecture(self, values: Mapping[str, Value]) -> Architecture:
        """Validated, canonical architecture. Raises ``ValueError`` naming each missing, absent or wrong choice."""
        return self.batch([Architecture(values)])[0]

    def batch(self, architectures: Sequence[Architecture]) -> Batch:
        """Architectures as a matrix of codes, validated. Raises ``ValueError`` as :meth:`architecture`."""
        if isinstance(architectures, Batch) and architectures.space.choices == self.choices:
            return architectures  # a code means the same here; in a restricted space it does not
        codes = np.full((len(architectures), len(self.choices)), -1, np.int16)
        for row, values in enumerate(architectures):
            known = values.codes_of(self.canonical)
            if known is None:
                self._encode_row(codes[row], values)
            else:
                codes[row] = known
        return Batch(self, codes)

    def _encode_row(self, row: NDArray[np.int16], values: Mapping[str, Value]) -> None:
        problems = [f"unknown choice {name!r}" for name in values if name not in self.column]
        unknown: set[int] = set()  # a choice below one that is itself wrong may be there or not
        for i, (choice, control) in enumerate(zip(self.choices, self._counts.controls, strict=True)):
            if any(j not in unknown and int(row[j]) not in codes for j, codes in control.items()):
                if choice.name in values:
                    needed = " and ".join(map(str, choice.when))
                    problems.append(f"choice {choice.name} is absent here: it needs {needed}")
            elif not unknown.isdisjoint(control):
                unknown.add(i)
            elif choice.name not in values:
                unknown.add(i)
                problems.append(f"choice {choice.name} is missing; values: {list(choice.values)}")
            else:
                try:
                    row[i] = choice.code(values[choice.name])
                except ValueError as error:
                    unknown.add(i)
                    problems.append(str(error))
        if problems:
            raise ValueError(f"not an architecture of space {self.name}: " + "; ".join(problems))

    def parse(self, text: str) -> Architecture:
        """The architecture that a published notation writes so. Raises ``ValueError`` if the space has no notation."""
        return self.architecture(self._notation().parse(self, text))

    def format(self, architecture: Architecture) -> str:
        """The architecture in the published notation; :meth:`parse` reads it."""
        return self._notation().format(self, self.architecture(architecture))

    def _notation(self) -> Notation:
        if self.notation is None:
            raise ValueError(f"space {self.name} has no published notation [no-notation]")
        return self.notation

    def at(self, index: int) -> Architecture:
        """The architecture at this index. Raises ``IndexError`` outside ``range(size)``."""
        if not 0 <= index < self.size:
            raise IndexError(f"index {index} is outside space {self.name} of size {self.size}")
        return self._row(self._counts.at(index))

    def _row(self, codes: Sequence[int]) -> Architecture:
        return Batch(self, np.array([codes], np.int16).reshape(1, -1))[0]

    def index(self, architecture: Architecture) -> int:
        """Position in ``range(size)``; inverse of :meth:`at`."""
        return self._counts.index(self.batch([architecture]).codes[0].tolist())

    def rows(self) -> Iterator[tuple[int, ...]]:
        """Codes of every architecture, lazily, in the order of the index."""
        return (tuple(row) for row in self._counts.walk())

    def enumerate(self) -> Iterator[Architecture]:
        """Every architecture, lazily, in the order of the index."""
        rows = self.rows()
        while chunk := list(islice(rows, _CHUNK)):
            yield from Batch(self, np.array(chunk, np.int16).reshape(len(chunk), -1))

    @cached_property
    def largest(self) -> Architecture:
        """The largest value of every choice, of words the most MACs, and ``float`` where precision is chosen."""
        return self.extreme(max, "float")

    def extreme(self, pick: Pick, precision: str) -> Architecture:
        """``pick`` (``min`` or ``max``) of every choice of numbers; ``precision`` where a precision choice has it.

        Words, such as operations, are those of the most or of the fewest MACs (:mod:`spaces.extremes`). Raises
        ``ValueError`` for what is no precision.
        """
        known = pick, parse(precision).name
        if known not in self._extremes:
            self._extremes[known] = with_words(self, pick, precision, words(self, pick, precision))
        return self._extremes[known]

    def uniform(self, precision: str) -> bool:
        """Whether every chosen precision can be this one at once."""
        chosen = self.outline.precision_choices
        return bool(chosen) and all(precision in c.values for c in self.choices if c.name in chosen)

    def restrict(self, menu: Menu | Collection[str]) -> Space:
        """The sub-space whose layers take only precisions that the menu allows, or has names of; itself if that is all.

        Its architectures lie in this space too. Raises :class:`spaces.restrict.NothingLeft`, a ``ValueError``, naming a
        layer that would keep no precision.
        """
        choices = restricted(self.choices, self.outline.records, menu)
        return self if choices == self.choices else Space(self.name, choices, self.outline, self.notation)

    @cached_property
    def extents(self) -> dict[str, Extent]:
        """Path -> the largest form of each record over all architectures."""
        return extents(self.outline.records, self.outline.input_shape, self.choices)

    @cached_property
    def precisions(self) -> dict[str, tuple[Precision, ...]]:
        """Path of each weighted layer -> every precision that it may have."""
        values = {c.name: c.values for c in self.choices}
        return {r.path: precisions_of(r.precision, values) for r in self.outline.records if r.kind in WEIGHTED}

    # -- drawing

    def sample(self, rng: np.random.Generator) -> Architecture:
        """One architecture, uniform over architectures (not over choices)."""
        return self.sample_many(1, rng)[0]

    def sample_many(self, n: int, rng: np.random.Generator, by_choice: bool = False) -> Batch:
        """``n`` independent architectures, uniform over architectures.

        With ``by_choice`` every present choice is uniform over its own values instead: shallow networks, few among all
        architectures, then come as often as deep ones.
        """
        return Batch(self, self._counts.draw(n, rng, by_choice))

    def complete(self, values: Mapping[str, Value], rng: np.random.Generator) -> Architecture:
        """One architecture, uniform over those that have these values wherever the choice is present.

        Raises ``ValueError`` for an unknown choice or value.
        """
        if foreign := sorted(set(values) - set(self.column)):
            raise ValueError(f"space {self.name} has no choice {foreign[0]!r}")
        fixed = {i: c.code(values[c.name]) for i, c in enumerate(self.choices) if c.name in values}
        return self._row(self._counts.complete(fixed, rng))

    def place(self, points: NDArray[np.float64], by_choice: bool = False) -> Batch:
        """Architectures at points (n, choices) in [0, 1): each coordinate picks a value of its choice by its share."""
        return Batch(self, self._counts.place(points, by_choice))

    def spread(
        self, n: int, rng: np.random.Generator, method: moves.Method = "latin", by_choice: bool = False
    ) -> Batch:
        """``n`` architectures that fill the space evenly; see :func:`spaces.moves.spread`."""
        return moves.spread(self, n, rng, method, by_choice)

    def sample_within(
        self, n: int, limits: Mapping[str, float], rng: np.random.Generator, most_draws: int = moves.MOST_DRAWS
    ) -> Batch:
        """``n`` architectures that keep limits on counted costs; see :func:`spaces.moves.sample_within`."""
        return moves.sample_within(self, n, limits, rng, most_draws)

    # -- moves

    def neighbours(self, architecture: Architecture) -> Iterator[Architecture]:
        """All architectures one decision away, lazily; see :func:`spaces.moves.neighbours`."""
        return moves.neighbours(self, architecture)

    def mutate(self, architecture: Architecture, rng: np.random.Generator) -> Architecture:
        """A drawn neighbour; see :func:`spaces.moves.mutate`."""
        return moves.mutate(self, architecture, rng)

    def crossover(self, a: Architecture, b: Architecture, rng: np.random.Generator) -> Architecture:
        """A child of two; see :func:`spaces.moves.crossover`."""
        return moves.crossover(self, a, b, rng)

    # -- numbers

    @cached_property
    def _encoding(self) -> Encoding:
        return Encoding(self.choices)

    @property
    def feature_names(self) -> tuple[str, ...]:
        """Names of the columns of :meth:`encode`."""
        return self._encoding.names

    def encode(self, batch: Sequence[Architecture]) -> NDArray[np.float32]:
        """Features (n, d) for predictors; see :class:`spaces.encoding.Encoding`."""
        return self._encoding(self.batch(batch).codes)

    def cost(self, batch: Sequence[Architecture]) -> dict[str, NDArray[np.int64]]:
        """Counted costs (n,) each, by the names and conventions of :mod:`spaces.cost`."""
        codes = self.batch(batch)
        return cost(self.outline.table(codes), self.outline.input_sizes(codes).prod(axis=0))
