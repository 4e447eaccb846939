"""Measuring, on a clock that only the timed calls move: order, rounds, drift, and going on after a kill."""

from __future__ import annotations

import importlib
import weakref
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest

from predictors.latency import Timing, measure

probe = importlib.import_module("predictors.latency.probe")


class Clock:
    """Seconds that pass only while a call runs. ``speed`` stretches all of them."""

    def __init__(self) -> None:
        self.now = 0.0
        self.speed = 1.0
        self.blocks: list[tuple[str, int]] = []  # name, calls of the block

    def perf_counter(self) -> float:
        return self.now


class Call:
    """A call of known costs in seconds, one after the other and then from the start."""

    def __init__(self, clock: Clock, name: str, *costs: float) -> None:
        self.clock, self.name, self.costs = clock, name, costs
        self.made = self.count = 0

    def make(self) -> Callable[[], None]:
        self.made += 1
        return self

    def __call__(self) -> None:
        self.clock.now += self.costs[self.count % len(self.costs)] * self.clock.speed
        self.count += 1


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """The clock that :mod:`predictors.latency.probe` reads in this test; it notes every timed block."""
    made = Clock()
    monkeypatch.setattr(probe, "time", SimpleNamespace(perf_counter=made.perf_counter))
    seconds = probe._seconds

    def noted(call: Call, times: int, clock: Callable[[], float]) -> float:
        made.blocks.append((call.name, times))
        return float(seconds(call, times, clock))

    monkeypatch.setattr(probe, "_seconds", noted)
    return made


class Kept:
    """A ``Partial`` in memory. ``stop_after`` saves it raises, as a kill would end the measurement."""

    def __init__(self, stop_after: int | None = None) -> None:
        self.states: list[Any] = []
        self.stop_after = stop_after

    def load(self) -> Any:
        return self.states[-1] if self.states else None

    def save(self, state: Any) -> None:
        self.states.append(state)
        if len(self.states) == self.stop_after:
            raise KeyboardInterrupt("stopped")


def makes(clock: Clock, count: int) -> list[Call]:
    """Calls of 10, 11, 12 ... microseconds."""
    return [Call(clock, str(i), (10 + i) * 1e-6) for i in range(count)]


def test_a_steady_call_is_timed_exactly(clock: Clock) -> None:
    """Median and quantile in milliseconds, no spread, 15 blocks."""
    calls = [Call(clock, "short", 20e-6), Call(clock, "long", 5e-3)]
    short, long = measure([c.make for c in calls], [])
    assert (short.median_ms, short.p20_ms, short.rounds) == (pytest.approx(0.02), pytest.approx(0.02), 15)
    assert (long.median_ms, long.spread) == (pytest.approx(5.0), pytest.approx(0, abs=1e-9))


def test_blocks_last_about_a_millisecond_and_never_less_than_one_call(clock: Clock) -> None:
    """Shorter than a scheduler's slice, long enough for the clock."""
    calls = [Call(clock, "short", 20e-6), Call(clock, "long", 5e-3)]
    measure([c.make for c in calls], [])
    assert set(clock.blocks) == {("short", 3), ("long", 3), ("short", 50), ("long", 1)}


def test_calls_take_turns_and_the_order_is_reversed_every_round(clock: Clock) -> None:
    """Whoever is disturbed by its neighbour is disturbed from both sides."""
    calls = [Call(clock, name, 20e-6) for name in "abc"]
    measure([c.make for c in calls], [Call(clock, "x", 20e-6).make])
    order = "".join(name for name, times in clock.blocks if times == 50)
    assert order == "abcxxcba" * 7 + "abcx"


def test_every_block_is_preceded_by_one_untimed_call(clock: Clock) -> None:
    """It brings the call's data back into the caches; its own cost is not counted."""
    call = Call(clock, "a", *[1e-3] * 12, *([9e-3, 1e-3] * 100))  # warm-up and estimate first, then untimed, timed
    (timing,) = measure([call.make], [])
    assert timing.median_ms == pytest.approx(1.0)


def test_a_restless_call_gets_more_rounds(clock: Clock) -> None:
    """41 blocks for the one whose median lies well above its 20 % quantile, 15 for the other."""
    calm, restless = Call(clock, "calm", 1e-3), Call(clock, "restless", *[1e-3] * 12, *[1e-3, 1.06e-3, 1e-3, 1e-3] * 50)
    timings = measure([calm.make, restless.make], [])
    assert [t.rounds for t in timings] == [15, 41]
    assert timings[1].median_ms >= timings[1].p20_ms


def test_more_rounds_that_are_disturbed_throughout_do_not_count(clock: Clock) -> None:
    """Some of the first fifteen were: what was found in the others holds."""
    first = [1e-3, 1e-3] * 7 + [1e-3, 1.7e-3] * 8  # two calls per block: untimed and timed
    call = Call(clock, "a", *[1e-3] * 12, *first, *[1.7e-3] * 2000)
    (timing,) = measure([call.make], [])
    assert timing.ms == pytest.approx(1.0)
    assert timing.rounds == 15


def test_a_repetition_that_is_faster_counts(clock: Clock) -> None:
    """What was found before was disturbed, if not evenly."""
    noisy = [1e-3, 3e-3, 1e-3, 2e-3, 1e-3, 3e-3] * 14
    call = Call(clock, "a", *[1e-3] * 12, *noisy[:82], *[1e-3] * 2000)
    (timing,) = measure([call.make], [])
    assert (timing.ms, timing.rounds) == (pytest.approx(1.0), 15)


def test_a_repetition_that_is_evenly_slower_does_not_count(clock: Clock) -> None:
    """It is disturbed all the while: spread alone does not tell."""
    noisy = [1e-3, 2e-3, 1e-3, 1e-3] * 21
    call = Call(clock, "a", *[1e-3] * 12, *noisy[:82], *[1.7e-3] * 1000)
    (timing,) = measure([call.make], [])
    assert (timing.ms, timing.rounds) == (pytest.approx(1.0), 41)


def test_a_call_that_spreads_too_much_is_measured_once_more_and_the_calmer_blocks_count(clock: Clock) -> None:
    """The disturbance is over when it is repeated: what is kept is the repetition."""
    noisy = [1e-3, 2e-3, 1e-3, 1e-3] * 21  # two calls per block: untimed and timed, 41 blocks
    call = Call(clock, "a", *[1e-3] * 12, *noisy[:82], *[1e-3] * 1000)
    (timing,) = measure([call.make], [])
    assert (timing.median_ms, timing.rounds) == (pytest.approx(1.0), 15)
    assert timing.spread == pytest.approx(0, abs=1e-9)


# --- Drift ------------------------------------------------------------------------------------------------------------


def test_a_slower_machine_is_divided_out_by_the_anchors(clock: Clock) -> None:
    """All times are at the level of the calmest batch, however slow the later ones ran."""
    calls = makes(clock, 100)
    anchor = Call(clock, "anchor", 30e-6)

    def slower(done: int, total: int) -> None:
        clock.speed *= 1.7

    timings = measure([c.make for c in calls], [anchor.make], slower)
    assert [t.median_ms for t in timings] == [pytest.approx((10 + i) * 1e-3) for i in range(100)]


def speeds_of_attempts(clock: Clock, monkeypatch: pytest.MonkeyPatch, speeds: list[float]) -> list[int]:
    """Each attempt at a batch runs at the next of these speeds; fills the list with the calls of each."""
    attempts: list[int] = []
    batch = probe._batch

    def attempt(*arguments: Any) -> Any:
        clock.speed = speeds[len(attempts)]
        attempts.append(len(arguments[0]))
        return batch(*arguments)

    monkeypatch.setattr(probe, "_batch", attempt)
    return attempts


@pytest.mark.parametrize(
    ("speeds", "attempts"),
    [
        ([1.0, 2.0, 1.0, 1.02], [49, 49, 5, 49]),  # the second was disturbed, and is not when it is its turn again
        ([1.7, 1.0, 1.0, 1.0], [49, 49, 5, 49]),  # the first one too: no level counts because it was there first
        ([1.0, 2.0, 1.5, 1.6, 1.0, 1.0], [49, 49, 5, 49, 49, 5]),  # the most disturbed first; twice at most
        ([1.0, 1.02, 1.025], [49, 49, 5]),
    ],
)
def test_disturbed_batches_are_measured_again_after_the_others(
    clock: Clock, monkeypatch: pytest.MonkeyPatch, speeds: list[float], attempts: list[int]
) -> None:
    """By their anchors, of 100 calls; the calmest attempt counts, at the level of the calmest batch."""
    found = speeds_of_attempts(clock, monkeypatch, speeds)
    timings = measure([c.make for c in makes(clock, 100)], [Call(clock, "anchor", 30e-6).make])
    assert found == attempts
    assert [t.median_ms for t in timings] == [pytest.approx((10 + i) * 1e-3) for i in range(100)]


def test_disturbed_batches_are_tried_three_times_at_most(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    """And saved after each attempt: a measurement that is stopped goes on, and one that is done times nothing."""
    found = speeds_of_attempts(clock, monkeypatch, [1.0, 2.0, 2.0, 1.9, 1.9])
    kept = Kept(stop_after=3)
    with pytest.raises(KeyboardInterrupt, match="stopped"):
        measure([c.make for c in makes(clock, 60)], [Call(clock, "anchor", 30e-6).make], partial=kept)
    kept.stop_after = None
    whole = measure([c.make for c in makes(clock, 60)], [Call(clock, "anchor", 30e-6).make], partial=kept)
    assert found == [49, 13, 13, 13]
    assert [b["tries"] for b in kept.states[-1]] == [1, 3]
    assert [t.median_ms for t in whole] == [pytest.approx((10 + i) * 1e-3) for i in range(60)]
    assert measure([c.make for c in makes(clock, 60)], [], partial=kept) == whole
    assert len(found) == 4


def test_no_batch_is_measured_again_that_would_not_end_in_time(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was timed counts."""
    found = speeds_of_attempts(clock, monkeypatch, [1.0, 2.0])
    calls = makes(clock, 96)
    end = 0.0

    def done(timed: int, total: int) -> None:
        nonlocal end
        end = clock.now + (1.0 if timed < total else 1e-9)

    assert len(measure([c.make for c in calls], [calls[0].make], done, left=lambda: (end or 1.0) - clock.now)) == 96
    assert found == [49, 49]


def test_without_anchors_times_stay_as_they_are(clock: Clock) -> None:
    """Nothing to compare with: no scaling, no repetition."""
    calls = makes(clock, 50)

    def slower(done: int, total: int) -> None:
        clock.speed = 2.0

    timings = measure([c.make for c in calls], [], slower)
    assert timings[0].median_ms == pytest.approx(10e-3)
    assert timings[49].median_ms == pytest.approx(2 * 59e-3)


# --- Batches ----------------------------------------------------------------------------------------------------------


def test_nothing_to_time_is_no_error(clock: Clock) -> None:
    """An empty list in, an empty list out, no anchor made."""
    anchor = Call(clock, "anchor", 30e-6)
    assert measure([], [anchor.make]) == []
    assert anchor.made == 0


def test_progress_is_told_after_every_batch(clock: Clock) -> None:
    """(timed, all)."""
    told: list[tuple[int, int]] = []
    measure([c.make for c in makes(clock, 100)], [], lambda done, total: told.append((done, total)))
    assert told == [(48, 100), (96, 100), (100, 100)]


def test_the_sessions_of_at_most_one_batch_are_alive(clock: Clock) -> None:
    """48 and the anchors: a session takes memory, and a batch is gone before the next is made."""
    alive: weakref.WeakSet[Call] = weakref.WeakSet()
    most = 0

    def make(name: str) -> Callable[[], Callable[[], None]]:
        def session() -> Callable[[], None]:
            nonlocal most
            made = Call(clock, name, 20e-6)
            alive.add(made)
            most = max(most, len(alive))
            return made

        return session

    measure([make(str(i)) for i in range(100)], [make("anchor")])
    assert most == 49


def test_a_stopped_measurement_goes_on_where_it_was(clock: Clock) -> None:
    """Finished batches are not even built again, and the result is that of one never stopped."""
    whole = measure([c.make for c in makes(clock, 100)], [Call(clock, "anchor", 30e-6).make])
    kept = Kept(stop_after=2)
    first, second = makes(clock, 100), makes(clock, 100)
    with pytest.raises(KeyboardInterrupt, match="stopped"):
        measure([c.make for c in first], [Call(clock, "anchor", 30e-6).make], partial=kept)
    assert [c.made for c in first] == [1] * 96 + [0] * 4
    kept.stop_after = None
    clock.speed = 3.0  # another time of day: the levels were saved too
    timings = measure([c.make for c in second], [Call(clock, "anchor", 30e-6).make], partial=kept)
    assert [c.made for c in second] == [0] * 96 + [3] * 4  # tried again, as much slower as it is
    assert [t.median_ms for t in timings] == [pytest.approx(t.median_ms) for t in whole]
    assert all(isinstance(t, Timing) for t in timings)


def test_a_finished_measurement_times_nothing(clock: Clock) -> None:
    """Its partial state holds every timing."""
    kept = Kept()
    whole = measure([c.make for c in makes(clock, 50)], [], partial=kept)
    again = makes(clock, 50)
    assert measure([c.make for c in again], [], partial=kept) == whole
    assert sum(c.made for c in again) == 0


def test_the_partial_state_is_plain_json(clock: Clock) -> None:
    """It is kept in a store of JSON files."""
    import json

    kept = Kept()
    measure([c.make for c in makes(clock, 3)], [], partial=kept)
    assert json.loads(json.dumps(kept.states[-1], allow_nan=False)) == kept.states[-1]


# --- Limits -----------------------------------------------------------------------------------------------------------


def test_no_batch_begins_that_would_not_end_in_time(clock: Clock) -> None:
    """As long as the last one took; what was timed is what a measurement without a limit times first."""
    whole = measure([c.make for c in makes(clock, 100)], [])
    start = clock.now
    first = measure([c.make for c in makes(clock, 48)], [])
    took = clock.now - start
    start = clock.now
    calls = makes(clock, 100)
    timings = measure([c.make for c in calls], [], left=lambda: start + 1.5 * took - clock.now)
    assert len(timings) == len(first) == 48
    assert [t.median_ms for t in timings] == [pytest.approx(t.median_ms) for t in whole[:48]]
    assert [c.made for c in calls] == [1] * 48 + [0] * 52
    assert measure([c.make for c in makes(clock, 10)], [], left=lambda: 0.0) == []


def test_a_limited_measurement_goes_on_with_more_time(clock: Clock) -> None:
    """Where it ended."""
    kept = Kept()
    calls = makes(clock, 100)
    start = clock.now
    first = measure([c.make for c in calls], [], partial=kept, left=lambda: start + 1e-9 - clock.now)
    assert len(first) == 48
    assert len(measure([c.make for c in calls], [], partial=kept)) == 100
    assert [c.made for c in calls] == [1] * 100


def test_a_long_call_runs_in_fewer_rounds(clock: Clock) -> None:
    """Half a second of blocks, five at least, and nothing untimed between them."""
    short, long, longest = Call(clock, "short", 20e-6), Call(clock, "long", 60e-3), Call(clock, "longest", 1.0)
    timings = measure([c.make for c in (short, long, longest)], [])
    assert [t.rounds for t in timings] == [15, 9, 5]
    assert [t.median_ms for t in timings] == [pytest.approx(ms) for ms in (0.02, 60.0, 1000.0)]
    assert (long.count, longest.count) == (2 + 9, 2 + 5)


def test_nothing_is_repeated_while_time_is_short(clock: Clock) -> None:
    """After the first batch time for one and a half is left, for the second but not for both; the last has enough."""

    def restless() -> list[Call]:
        return [Call(clock, str(i), *[1e-3] * 12, *[1e-3, 1.06e-3, 1e-3, 1e-3] * 50) for i in range(100)]

    start = clock.now
    patient = measure([c.make for c in restless()], [])
    assert {t.rounds for t in patient} == {41}
    took = (clock.now - start) * 48 / 100
    start = clock.now
    timings = measure([c.make for c in restless()], [], left=lambda: start + 2.5 * took - clock.now)
    assert [t.rounds for t in timings] == [41] * 48 + [15] * 48 + [41] * 4
