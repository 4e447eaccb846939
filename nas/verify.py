"""The contract: exported networks are timed on the device, and the measured upper bound decides.

Budgets and predictions are in milliseconds of the machine as it was when the latency table was measured. So networks
of the table, its anchors, are timed beside the exported ones, and all are brought to the table's level: another process
on the machine slows both.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np

from predictors.latency import Table, Target, measure
from predictors.latency.plan import SESSIONS
from predictors.latency.profile import whole_network
from predictors.latency.table import QUARTILE
from spaces import Space

GUARD = 1.025
"""Where a table has no anchors to tell: the largest of three sessions times this held in 99.8 % of re-measurements in
this project's reference on kernels, the median with its own confidence interval in 57 %."""
_LEAST_GUARD, _DEVIATIONS = 1.01, 2.6
RESTLESS, _TRIES = 0.04, 4
"""How far anchors may disagree on the pace of the machine, as a deviation of logs; and how often a pass is tried for
that. Beside processes that compute, passes with less had the times of other networks right to 3 or 4 %; there were ones
with 0.25, where half of the anchors took 1.7 times as long and the others no longer, in which nothing can be said."""


def guard_of(table: Table) -> float:
    """How many times the slowest of three sessions holds what is promised: by the spread of the table's anchors."""
    return max(_LEAST_GUARD, math.exp(_DEVIATIONS * table.spread)) if table.anchors else GUARD


@dataclass(frozen=True)
class Anchors:
    """Models of a table's anchors, the time of each in the table, and the ``guard`` that their spread asks for."""

    models: Sequence[bytes] = ()
    table_ms: Sequence[float] = ()
    guard: float = GUARD

    @classmethod
    def of(cls, space: Space, table: Table, target: Target) -> Anchors:
        """Those of a table of this space."""
        if not table.anchors:
            return cls()
        architectures = [space.architecture(json.loads(key)) for key in table.anchors]
        models = [whole_network(space, a, target) for a in architectures]
        return cls(models, [float(np.median(times)) for times in table.anchors.values()], guard_of(table))


@dataclass(frozen=True)
class Round:
    """Networks timed side by side. ``sessions_ms``: name -> time of each session, at the table's level.

    ``levels``: of each pass, how many times as long the anchors took as in the table; ``spreads``: how far they
    disagree on that.
    """

    sessions_ms: Mapping[str, Sequence[float]]
    levels: Sequence[float]
    spreads: Sequence[float]


def measured(models: Mapping[str, bytes], target: Target, anchors: Anchors) -> Round:
    """Time whole exported networks, interleaved with the anchors, each in three passes of fresh sessions.

    A pass in which the anchors disagree by more than :data:`RESTLESS` is made again; the best one counts.
    """
    passes = [_settled(models, target, anchors) for _ in range(SESSIONS)]
    sessions = {name: [one.ms[i] for one in passes] for i, name in enumerate(models)}
    return Round(sessions, [one.level for one in passes], [one.spread for one in passes])


@dataclass(frozen=True)
class _Pass:
    """``ms`` of networks at the table's level; see :class:`Round`."""

    ms: Sequence[float]
    level: float
    spread: float


def _settled(models: Mapping[str, bytes], target: Target, anchors: Anchors) -> _Pass:
    best: _Pass | None = None
    for _ in range(_TRIES):
        one = _pass(models, target, anchors)
        best = one if best is None or one.spread < best.spread else best
        if best.spread <= RESTLESS:
            break
    assert best is not None
    return best


def _pass(models: Mapping[str, bytes], target: Target, anchors: Anchors) -> _Pass:
    """The level is the median of the anchors': of eight, one or two that something disturbed do not count."""
    runtime = target.runtime
    makes = [partial(runtime.prepared, model, target.threads) for model in (*models.values(), *anchors.models)]
    ms = [timing.ms for timing in measure(makes, [], clock=runtime.clock(target.threads))]
    if not anchors.models:
        return _Pass(ms, 1.0, 0.0)
    paces = np.log(np.array(ms[len(models) :]) / np.array(anchors.table_ms))
    middle = float(np.median(paces))
    level, spread = math.exp(middle), float(np.median(np.abs(paces - middle))) / QUARTILE
    return _Pass([time / level for time in ms[: len(models)]], level, spread)


class Measurements:
    """What is known of the times of exported networks, from one round after the other."""

    def __init__(self, guard: float = GUARD) -> None:
        self.guard = guard
        self._rounds: list[Round] = []

    def add(self, found: Round) -> None:
        """Add a round."""
        self._rounds.append(found)

    def __contains__(self, name: str) -> bool:
        return any(name in found.sessions_ms for found in self._rounds)

    def median_ms(self, name: str) -> float:
        """Median over the sessions of the last round that the network was part of."""
        return float(np.median(self._last(name).sessions_ms[name]))

    def raw_ms(self, name: str) -> float:
        """The same as the clock showed it."""
        found = self._last(name)
        return float(np.median([ms * level for ms, level in zip(found.sessions_ms[name], found.levels, strict=True)]))

    def upper_ms(self, name: str) -> float:
        """The largest of three sessions, the second largest of six, and so on, times the guard.

        Sessions whose anchors disagree by more than :data:`RESTLESS` say nothing, and do not count where there are
        three others; else what is beyond counts like the spread that a guard is made of.

        Something else on the machine may disturb a session, so of many the largest says ever less. If half of the
        sessions lie above what is true, the largest of three does not hold it once in 8 times, the second largest of
        six once in 9, the third largest of nine once in 11: the guard is made for the first.
        """
        sessions = [
            (ms, spread)
            for found in self._rounds
            for ms, spread in zip(found.sessions_ms.get(name, []), found.spreads, strict=False)
        ]
        calm = [ms for ms, spread in sessions if spread <= RESTLESS]
        restless = [ms * math.exp(_DEVIATIONS * (spread - RESTLESS)) for ms, spread in sessions if spread > RESTLESS]
        times = sorted(calm if len(calm) >= SESSIONS else calm + restless, reverse=True)
        return self.guard * times[(len(times) - 1) // SESSIONS]

    def _last(self, name: str) -> Round:
        return next(found for found in reversed(self._rounds) if name in found.sessions_ms)
