"""Timing many small calls so that the figures can be compared.

Blocks of about 1 ms, shorter than a scheduler's slice, so that the median survives a busy machine; calls take turns,
the order reversed every round; two anchors run in every batch and their drift is divided out. Source:
measurements of this project's reference on kernels, section 6, but for three things. Where the backend computes on the
calling thread, that thread's processor time is the clock: it is the wall clock's time while nothing else runs, and
leaves out what other processes take, which in calls longer than a slice no median does. The 20 % quantile of the blocks
counts, and not their median. And a call that fills a block alone runs in fewer rounds, so that a large network does not
take a minute.
"""

from __future__ import annotations

import math
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, Protocol

import numpy as np

Call = Callable[[], None]
Make = Callable[[], Call]
Clock = Callable[[], float]
"""Seconds, of any start."""
Left = Callable[[], float]
"""Seconds left until a measurement has to end."""

_BLOCK_S = 1e-3
_WARM_UP_CALLS = 3
_LIVE = 48
_ROUNDS, _MORE_ROUNDS = 15, 41
_UNSETTLED = 1.03  # median / 20 % quantile
_MOST_SPREAD = 0.05
_MOST_DRIFT = 0.03
_RETRIES = 2
_LONG_S = 0.01  # a call that finds nothing of its own in a cache
_MOST_S, _LEAST_ROUNDS = 0.5, 5  # of one call in all rounds of a batch
METHOD = {
    "block_ms": 1e3 * _BLOCK_S,
    "rounds": _ROUNDS,
    "rounds_if_unsettled": _MORE_ROUNDS,
    "rounds_of_long_calls": _LEAST_ROUNDS,
    "sessions_at_once": _LIVE,
}
"""How calls are timed, for the record."""


@dataclass(frozen=True)
class Timing:
    """One call: ``median_ms`` and ``p20_ms`` over ``rounds`` blocks, ``spread`` their coefficient of variation."""

    median_ms: float
    p20_ms: float
    spread: float
    rounds: int

    @property
    def ms(self) -> float:
        """The time that counts: the 20 % quantile.

        On an idle machine it is the median within a hundredth. Beside other processes, which share its caches and
        its execution units, it repeats two to four times as well.
        """
        return self.p20_ms

    def at(self, scale: float) -> Timing:
        """The same on a machine where it takes ``scale`` times as long."""
        return Timing(self.median_ms * scale, self.p20_ms * scale, self.spread, self.rounds)


Progress = Callable[[int, int], None]
"""Called after every batch with (calls timed, calls)."""


class Partial(Protocol):
    """Where the timings of finished batches go, so that a measurement that is stopped goes on where it was."""

    def load(self) -> Any:
        """What was saved last, or ``None``."""
        ...

    def save(self, state: Any) -> None:
        """Keep a JSON value."""
        ...


def measure(
    makes: Sequence[Make],
    anchors: Sequence[Make],
    progress: Progress | None = None,
    partial: Partial | None = None,
    clock: Clock | None = None,
    left: Left | None = None,
) -> list[Timing]:
    """Time every call; ``makes`` build them (a session each), at most 48 alive at a time.

    Times are scaled to the anchors' level in the calmest batch, so that batches can be compared; a batch whose anchors
    took over 3 % longer than there is measured again when all others have been, at most twice, and so is at once a
    call whose blocks spread by over 5 %. ``clock``: by default the wall clock. With ``left`` nothing is repeated while
    the calls that are left, at the pace of the last batch, would not end in time; and no batch begins that would not:
    then there are timings of the first calls only.
    """
    batches = [_Batch.of(one) for one in (partial.load() if partial else None) or []]
    clock, left = clock or time.perf_counter, left or (lambda: sys.float_info.max)
    took = 0.0

    def timed(start: int, count: int, patient: bool) -> _Batch:
        calls = [make() for make in (*makes[start : start + count], *anchors)]
        return _batch(calls, [_once(call, clock) for call in calls], len(anchors), clock, patient)

    def told(timed: int) -> None:
        if partial:
            partial.save([asdict(b) for b in batches])
        if progress is not None:
            progress(timed, len(makes))

    while (done := sum(len(b.timings) for b in batches)) < len(makes) and (before := left()) > took:
        batches.append(timed(done, _LIVE, took * math.ceil((len(makes) - done) / _LIVE) < before))
        took = before - left()
        told(done + len(batches[-1].timings))
    while done >= len(makes) and (i := _restless(batches)) is not None and (before := left()) > took:
        known = batches[i]
        again = timed(sum(len(b.timings) for b in batches[:i]), len(known.timings), True)
        best = min(known, again, key=lambda b: b.level)
        batches[i] = replace(best, tries=known.tries + 1)
        took = max(took, before - left())
        told(len(makes))
    calm = min((b.level for b in batches), default=1.0)
    return [t.at(calm / b.level) for b in batches for t in b.timings]


@dataclass(frozen=True)
class _Batch:
    """``timings`` as the clock showed them, and the time of the anchors among them; how often it was tried."""

    level: float
    timings: Sequence[Timing]
    tries: int = 1

    @classmethod
    def of(cls, state: Any) -> _Batch:
        """What was saved of it."""
        return cls(state["level"], [Timing(**timing) for timing in state["timings"]], state["tries"])


def _restless(batches: Sequence[_Batch]) -> int | None:
    """Of the batches that lie too far above the calmest one, and were not tried too often, the one furthest above.

    A whole batch lasts a second, and what disturbs one lasts as long: it is tried again later, not at once.
    """
    most = (1 + _MOST_DRIFT) * min((b.level for b in batches), default=0.0)
    left = [i for i, b in enumerate(batches) if b.level > most and b.tries <= _RETRIES]
    return max(left, key=lambda i: batches[i].level, default=None)


def _batch(calls: Sequence[Call], once: Sequence[float], anchors: int, clock: Clock, patient: bool) -> _Batch:
    def timed(of: Sequence[int], rounds: int) -> list[list[float]]:
        return _rounds([calls[i] for i in of], [once[i] for i in of], rounds, clock)

    blocks = timed(range(len(calls)), _ROUNDS)
    unsettled = [i for i, b in enumerate(blocks) if patient and np.median(b) > _UNSETTLED * np.quantile(b, 0.2)]
    for i, extra in zip(unsettled, timed(unsettled, _MORE_ROUNDS - _ROUNDS), strict=True):
        if _ratio([*blocks[i], *extra], blocks[i]) <= 1 + _MOST_DRIFT:  # else what disturbs it went on all the while
            blocks[i] += extra
    restless = [i for i, b in enumerate(blocks) if patient and _timing(b).spread > _MOST_SPREAD]
    for i, again in zip(restless, timed(restless, _ROUNDS), strict=True):  # once more, for these alone
        slower = _ratio(again, blocks[i])
        calmer = _timing(again).spread < _timing(blocks[i]).spread
        if slower < 1 - _MOST_DRIFT or (calmer and slower <= 1 + _MOST_DRIFT):
            blocks[i] = again
    timings = [_timing(b) for b in blocks]
    kept = timings[: len(timings) - anchors]
    level = math.exp(float(np.mean([math.log(t.ms) for t in timings[len(kept) :]]))) if anchors else 1.0
    return _Batch(level, kept)


def _once(call: Call, clock: Clock) -> float:
    """Seconds of a call, about."""
    call()
    start = clock()
    call()
    if (long := clock() - start) > _LONG_S:
        return long
    for _ in range(_WARM_UP_CALLS - 2):
        call()
    return min(_seconds(call, 3, clock) / 3 for _ in range(3))


def _rounds(calls: Sequence[Call], once: Sequence[float], rounds: int, clock: Clock) -> list[list[float]]:
    """Milliseconds of each call in each of its blocks; of long calls there are fewer."""
    blocks: list[list[float]] = [[] for _ in calls]
    times = [max(1, round(_BLOCK_S / seconds)) for seconds in once]
    for turn in range(rounds):
        order = range(len(calls)) if turn % 2 == 0 else reversed(range(len(calls)))
        for i in order:
            if turn >= max(_LEAST_ROUNDS, _MOST_S / (times[i] * once[i])):
                continue
            if once[i] < _LONG_S:
                calls[i]()  # brings this call's data back into the caches
            blocks[i].append(_seconds(calls[i], times[i], clock) / times[i] * 1e3)
    return blocks


def _seconds(call: Call, times: int, clock: Clock) -> float:
    start = clock()
    for _ in range(times):
        call()
    return clock() - start


def _ratio(some: Sequence[float], others: Sequence[float]) -> float:
    """How many times as long the calls of these blocks took."""
    return _timing(some).ms / _timing(others).ms


def _timing(blocks: Sequence[float]) -> Timing:
    values = np.array(blocks)
    low, high = np.quantile(values, [0.1, 0.9])
    kept = values[(values >= low) & (values <= high)]  # the spread of what the median stands for, without outliers
    return Timing(
        float(np.median(values)), float(np.quantile(values, 0.2)), float(kept.std() / kept.mean()), len(values)
    )
