"""Measured times are brought to the level of the table by its anchors. Times are made up here."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import pytest

from nas import verify
from nas.verify import GUARD, Measurements, Round
from predictors.latency import Table, Target
from predictors.latency.probe import Timing
from tests.examples import space_of
from tests.predictors.networks import CHAIN


def timing(ms: float) -> Timing:
    """Of this median."""
    return Timing(ms, ms, 0.0, 15)


def table(*sessions: Sequence[float]) -> Table:
    """With these sessions of as many anchors."""
    drawn = space_of(CHAIN).at(0), space_of(CHAIN).at(1)
    return Table({}, 0.0, {}, {}, {a.to_json(): tuple(s) for a, s in zip(drawn, sessions, strict=False)})


def test_a_machine_that_is_slower_than_it_was_changes_no_measured_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """Half as fast in the second pass, a tenth slower in the third."""
    pace = iter([1.0, 2.0, 1.1])
    anchors = verify.Anchors.of(space_of(CHAIN), table([1.0, 1.0, 1.0], [3.0, 3.0, 3.0]), Target())

    def measure(makes: Sequence[Any], extra: Sequence[Any], clock: Any) -> list[Timing]:
        now = next(pace)
        return [timing(ms * now) for ms in (5.0, 7.0, 1.0, 3.0)]

    monkeypatch.setattr(verify, "measure", measure)
    found = verify.measured({"a": b"", "b": b""}, Target(), anchors)
    assert found.levels == pytest.approx([1.0, 2.0, 1.1])
    assert found.sessions_ms["a"] == pytest.approx([5.0] * 3)
    assert found.sessions_ms["b"] == pytest.approx([7.0] * 3)


def paced(monkeypatch: pytest.MonkeyPatch, *paces: Sequence[float]) -> tuple[Round, list[int]]:
    """A network of 5 ms beside five anchors of 1 ms that take so many times as long, pass by pass; and the passes."""
    spaces = [space_of(CHAIN).at(i) for i in range(5)]
    known = Table({}, 0.0, {}, {}, {a.to_json(): (1.0, 1.0, 1.0) for a in spaces})
    anchors = verify.Anchors.of(space_of(CHAIN), known, Target())
    made: list[int] = []

    def measure(makes: Sequence[Any], extra: Sequence[Any], clock: Any) -> list[Timing]:
        made.append(len(makes))
        return [timing(ms) for ms in (5.0, *paces[min(len(made), len(paces)) - 1])]

    monkeypatch.setattr(verify, "measure", measure)
    return verify.measured({"a": b""}, Target(), anchors), made


def test_one_disturbed_anchor_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    found, made = paced(monkeypatch, [1.0, 1.0, 1.7, 1.0, 1.0])
    assert (found.levels, found.spreads, len(made)) == ([1.0] * 3, [0.0] * 3, 3)


def test_a_pass_in_which_anchors_disagree_is_made_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """Half of them at another pace: whose is the network's?"""
    found, made = paced(monkeypatch, [1.0, 1.0, 1.7, 1.6, 1.5], [1.1] * 5)
    assert len(made) == 4
    assert found.levels == pytest.approx([1.1] * 3)
    assert found.sessions_ms["a"] == pytest.approx([5.0 / 1.1] * 3)


def test_where_anchors_never_agree_the_bound_is_wide(monkeypatch: pytest.MonkeyPatch) -> None:
    """It contains the network at the pace of any of the anchors, almost."""
    found, made = paced(monkeypatch, [1.0, 1.1, 1.3, 1.5, 1.6])
    assert len(made) == 3 * 4
    assert found.levels == pytest.approx([1.3] * 3)
    deviation = math.log(1.3 / 1.1) / 0.6745
    assert found.spreads == pytest.approx([deviation] * 3)
    times = Measurements(1.0)
    times.add(found)
    assert times.upper_ms("a") == pytest.approx(5.0 / 1.3 * math.exp(2.6 * (deviation - verify.RESTLESS)))
    assert times.upper_ms("a") > 5.0


def test_the_guard_comes_from_how_far_sessions_of_one_network_differ() -> None:
    """Sessions a hundredth apart; none at all would still leave one per cent."""
    restless = table([1.0, 1.01, 1.0201], [2.0, 2.02, 2.0402])
    deviation = math.log(1.01) / (0.6745 * math.sqrt(2))
    assert restless.spread == pytest.approx(deviation)
    assert verify.Anchors.of(space_of(CHAIN), restless, Target()).guard == pytest.approx(math.exp(2.6 * deviation))
    assert verify.Anchors.of(space_of(CHAIN), table([1.0, 1.0, 1.0]), Target()).guard == 1.01


def test_a_table_without_anchors_is_taken_as_it_is() -> None:
    """Of an earlier version, or of another program."""
    anchors = verify.Anchors.of(space_of(CHAIN), table(), Target())
    assert (list(anchors.models), anchors.guard) == ([], verify.GUARD)


def test_sessions_in_which_nothing_can_be_said_do_not_refute_what_calm_ones_found() -> None:
    """Of fewer than three calm ones all count, restless ones with what they may be off by."""
    times, restless = Measurements(), verify.RESTLESS + 0.1
    widened = math.exp(2.6 * 0.1)
    times.add(Round({"a": [1.0, 1.1, 1.05]}, [1.0] * 3, [0.0, restless, 0.0]))
    assert times.upper_ms("a") == pytest.approx(1.1 * widened * GUARD)
    times.add(Round({"a": [1.02, 1.5, 1.6]}, [1.0] * 3, [verify.RESTLESS, restless, restless]))
    assert times.upper_ms("a") == pytest.approx(1.05 * GUARD)


def test_the_upper_bound_is_the_slowest_of_three_sessions_and_the_median_that_of_the_last() -> None:
    """One disturbed session of six does not count, two do; medians are compared with those measured beside them."""
    times, calm = Measurements(), [0.0] * 3
    times.add(Round({"a": [1.0, 3.0, 2.0], "b": [1.0, 1.0, 1.0]}, [1.0, 1.0, 1.0], calm))
    assert (times.median_ms("a"), times.upper_ms("a")) == (2.0, pytest.approx(3.0 * GUARD))
    times.add(Round({"a": [1.1, 1.2, 1.3]}, [2.0, 2.0, 2.0], calm))
    assert times.raw_ms("a") == 2.4
    assert (times.median_ms("a"), times.upper_ms("a")) == (1.2, pytest.approx(2.0 * GUARD))
    times.add(Round({"a": [1.1, 2.5, 1.3]}, [2.0, 2.0, 2.0], calm))
    assert times.upper_ms("a") == pytest.approx(2.0 * GUARD)  # of nine the third
    times.add(Round({"a": [2.2, 2.3, 1.3]}, [2.0, 2.0, 2.0], calm))
    assert times.upper_ms("a") == pytest.approx(2.2 * GUARD)  # of twelve the fourth
    assert (times.median_ms("b"), times.upper_ms("b")) == (1.0, pytest.approx(GUARD))
    assert "a" in times
    assert "c" not in times
