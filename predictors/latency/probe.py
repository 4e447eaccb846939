"""Timing many small calls so that the figures can be compared.

Blocks of about 1 ms, shorter than a scheduler's slice, so that the median survives a busy machine; calls take turns,
the order reversed every round; two anchors run in every batch and their drift is divided out. Source:
measurements of this project's reference on kernels, section 6.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Protocol

import numpy as np

Call = Callable[[], None]
Make = Callable[[], Call]

_BLOCK_S = 1e-3
_WARM_UP_CALLS = 3
_LIVE = 48
_ROUNDS, _MORE_ROUNDS = 15, 41
_UNSETTLED = 1.03  # median / 20 % quantile
_MOST_SPREAD = 0.05
_MOST_DRIFT = 0.03
_RETRIES = 2


@dataclass(frozen=True)
class Timing:
    """One call: ``median_ms`` and ``p20_ms`` over ``rounds`` blocks, ``spread`` their coefficient of variation."""

    median_ms: float
    p20_ms: float
    spread: float
    rounds: int


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
    makes: Sequence[Make], anchors: Sequence[Make], progress: Progress | None = None, partial: Partial | None = None
) -> list[Timing]:
    """Time every call; ``makes`` build them (a session each), at most 48 alive at a time.

    Times are scaled to the anchors' level in the first batch, so that batches can be compared; a batch whose anchors
    moved by over 3 %, or a call whose blocks spread by over 5 %, is measured again, at most twice.
    """
    state = (partial.load() if partial else None) or {"level": None, "timings": []}
    timings = [Timing(**timing) for timing in state["timings"]]
    level: float | None = state["level"]
    for start in range(len(timings), len(makes), _LIVE):
        calls = [make() for make in (*makes[start : start + _LIVE], *anchors)]
        batch, drift, level = _settled(calls, len(anchors), level)
        timings += [Timing(t.median_ms / drift, t.p20_ms / drift, t.spread, t.rounds) for t in batch]
        calls.clear()  # before the next ones are made
        if partial:
            partial.save({"level": level, "timings": [asdict(t) for t in timings]})
        if progress is not None:
            progress(len(timings), len(makes))
    return timings


def _settled(calls: Sequence[Call], anchors: int, level: float | None) -> tuple[list[Timing], float, float]:
    """Timings of the calls but the anchors, their drift against ``level``, and the level (the first batch sets it).

    Repeats what moved too much and keeps the attempt that moved least.
    """
    repeats = [_repeats(call) for call in calls]
    best: tuple[list[Timing], float] | None = None
    for _ in range(1 + _RETRIES):
        batch, now = _batch(calls, repeats, anchors)
        level = now if level is None else level
        if best is None or abs(now / level - 1) < abs(best[1] - 1):
            best = (batch, now / level)
        if abs(now / level - 1) <= _MOST_DRIFT:
            break
    assert best is not None
    assert level is not None
    return *best, level


def _batch(calls: Sequence[Call], repeats: Sequence[int], anchors: int) -> tuple[list[Timing], float]:
    blocks = _rounds(calls, repeats, _ROUNDS)
    unsettled = [i for i, b in enumerate(blocks) if np.median(b) > _UNSETTLED * np.quantile(b, 0.2)]
    if unsettled:
        more = _rounds([calls[i] for i in unsettled], [repeats[i] for i in unsettled], _MORE_ROUNDS - _ROUNDS)
        for i, extra in zip(unsettled, more, strict=True):
            blocks[i] += extra
    restless = [i for i, b in enumerate(blocks) if _timing(b).spread > _MOST_SPREAD]
    if restless:  # once more, for these alone
        for i, again in zip(
            restless, _rounds([calls[i] for i in restless], [repeats[i] for i in restless], _ROUNDS), strict=True
        ):
            blocks[i] = min(blocks[i], again, key=lambda b: _timing(b).spread)
    timings = [_timing(b) for b in blocks]
    kept = timings[: len(timings) - anchors]
    level = math.exp(float(np.mean([math.log(t.median_ms) for t in timings[len(kept) :]]))) if anchors else 1.0
    return kept, level


def _repeats(call: Call) -> int:
    for _ in range(_WARM_UP_CALLS):
        call()
    once = min(_seconds(call, 3) / 3 for _ in range(3))
    return max(1, round(_BLOCK_S / once))


def _rounds(calls: Sequence[Call], repeats: Sequence[int], rounds: int) -> list[list[float]]:
    blocks: list[list[float]] = [[] for _ in calls]
    for turn in range(rounds):
        order = range(len(calls)) if turn % 2 == 0 else reversed(range(len(calls)))
        for i in order:
            calls[i]()  # brings this call's data back into the caches
            blocks[i].append(_seconds(calls[i], repeats[i]) / repeats[i] * 1e3)
    return blocks


def _seconds(call: Call, times: int) -> float:
    start = time.perf_counter()
    for _ in range(times):
        call()
    return time.perf_counter() - start


def _timing(blocks: Sequence[float]) -> Timing:
    values = np.array(blocks)
    low, high = np.quantile(values, [0.1, 0.9])
    kept = values[(values >= low) & (values <= high)]  # the spread of what the median stands for, without outliers
    return Timing(
        float(np.median(values)), float(np.quantile(values, 0.2)), float(kept.std() / kept.mean()), len(values)
    )
