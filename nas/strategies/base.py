"""What strategies of our own share."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar

import numpy as np

from nas.objectives import OBJECTIVES
from nas.strategies.limits import Limits
from nas.strategies.protocol import Result, Signals
from spaces import Architecture, Batch, Space, moves
from spaces.architecture import Codes
from spaces.randomness import generator

TURNS = 20  # blocks of candidates that are looked through for a new one that keeps the budget
_PATIENCE, _FEW_TURNS = 5, 3  # proposals in a row that found none, after which so few blocks are looked through
_REPAIRED, _NEAREST, _CHILDREN = 2, 10, 40  # from which block on children of the nearest to the budget are among them
_DRAWN = 256
_ENUMERATED = 200_000


class Searcher:
    """Base of our own strategies: a new one says which ``candidates`` it would propose, and what it ``learn``s.

    Proposals are new, inside the space, and within the budget as far as that is known ahead. Single-objective ones
    optimise the first objective; the budget binds them all.
    """

    name: ClassVar[str]
    multi: ClassVar[bool] = False  # whether it optimises several objectives at once
    whole: ClassVar[bool] = False  # whether what is left of a block is proposed too, before the next is made

    def __init__(
        self, space: Space, objectives: Sequence[str], budget: Mapping[str, float], seed: int,
        signals: Signals | None = None,
    ) -> None:  # fmt: skip
        self.space = space
        self.objectives = list(objectives)
        self.budget = dict(budget)
        self.seed = seed
        self._limits = Limits(budget, signals or Signals())
        self.results: list[Result] = []  # usable ones, in the order in which they were told
        self._proposed: list[Codes] = []
        self._seen: set[bytes] = set()
        self._told: set[int] = set()
        self._queue: list[Codes] = []
        self._failures = 0
        self._closest: Codes = np.empty((0, len(space.choices)), np.int16)

    # -- what a strategy says

    def candidates(self, rng: np.random.Generator) -> Codes:
        """A block of rows of codes that could be proposed next, the best first."""
        raise NotImplementedError

    def learn(self, results: Sequence[Result]) -> None:
        """New usable results, already in ``self.results``."""

    def stuck(self) -> None:
        """Nothing new was among the candidates of many turns: change something, or a drawn architecture is proposed."""

    # -- the protocol

    def ask(self, count: int) -> list[Architecture]:
        """See :class:`nas.strategies.Strategy`."""
        made: list[Architecture] = []
        while len(made) < count and len(self._seen) < self.space.size:
            row = self._next()
            if row is None:
                break
            self._proposed.append(row)
            self._seen.add(row.tobytes())
            made.append(Batch(self.space, row[None])[0])
        return made

    def tell(self, results: Sequence[Result]) -> None:
        """See :class:`nas.strategies.Strategy`."""
        new: list[Result] = []
        for result in results:
            if not 0 <= result.trial < len(self._proposed):
                self.learn(new)
                raise ValueError(f"trial {result.trial} was never proposed; {len(self._proposed)} have been")
            if result.trial not in self._told:
                self._told.add(result.trial)
                if result.usable:
                    self.results.append(result)
                    new.append(result)
        if new:
            self._limits.learn(Batch(self.space, np.array([self.codes(r) for r in new], np.int16)), new)
            self.learn(new)

    # -- shared

    def codes(self, result: Result) -> Codes:
        """Row of codes of a result."""
        return self._proposed[result.trial]

    def merit(self, result: Result) -> tuple[bool, float]:
        """To compare results of the first objective, the larger the better: those within the budget come first.

        (Feasibility rules of Deb 2000: among those over the budget the one that breaks it least is best.)
        """
        over = sum(max(0.0, result.values[n] / limit - 1) for n, limit in self.budget.items() if n in result.values)
        if over > 0:
            return False, -over
        name = self.objectives[0]
        return True, result.values[name] if OBJECTIVES[name].sense == "max" else -result.values[name]

    def costs(self, result: Result) -> list[float]:
        """Values of all objectives, each to be minimised."""
        return [-result.values[n] if OBJECTIVES[n].sense == "max" else result.values[n] for n in self.objectives]

    def _next(self) -> Codes | None:
        for turn in range(TURNS if self._failures < _PATIENCE else _FEW_TURNS):
            while self._queue:
                row: Codes = self._queue.pop(0)
                if row.tobytes() not in self._seen:
                    self._failures = 0
                    return row
            rng = generator(self.seed, f"search.{self.name}", len(self._proposed) * TURNS + turn)
            block = self.candidates(rng)
            if turn >= _REPAIRED and len(self._closest):
                block = np.concatenate([block, self._repaired(rng)])
            rows = self._good(block)
            if not len(rows):
                self.stuck()
            elif self.whole:
                self._queue = list(rows)
            else:
                best: Codes = rows[0]
                self._failures = 0
                return best
        self._failures += 1
        return self._anything()

    def _good(self, rows: Codes) -> Codes:
        """Those that are new and keep the budget as far as is known."""
        fresh = [row for row in np.ascontiguousarray(rows, np.int16) if row.tobytes() not in self._seen]
        if not fresh:
            return np.empty((0, len(self.space.choices)), np.int16)
        block = np.array(fresh, np.int16)
        excess = self._limits.excess(Batch(self.space, block))
        if not (excess <= 0).any():
            self._closest = block[excess.argsort(kind="stable")[:_NEAREST]]
        return block[excess <= 0]

    def _repaired(self, rng: np.random.Generator) -> Codes:
        """Children of those that broke the budget least, in the last block that kept it nowhere."""
        a, b = rng.integers(len(self._closest), size=(2, _CHILDREN))
        return moves.recombine(self.space, self._closest[a], self._closest[b], rng, 1.5 / len(self.space.choices))

    def _anything(self) -> Codes | None:
        """Some architecture that is new, within the budget if one of many drawn is; the last resort."""
        rng = generator(self.seed, f"search.{self.name}.anything", len(self._proposed))
        drawn = np.ascontiguousarray(self.space.sample_many(_DRAWN, rng).codes)
        new = self._first(drawn)
        if new is not None or self.space.size > _ENUMERATED:
            return new
        return self._first(np.array(list(self.space.rows()), np.int16))

    def _first(self, rows: Codes) -> Codes | None:
        """One that is new, and within the budget if any is."""
        good = list(self._good(rows))
        return next((row for row in [*good, *rows] if row.tobytes() not in self._seen), None)
