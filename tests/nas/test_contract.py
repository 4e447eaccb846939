"""The contract: who is a finalist, who keeps the budget, who is chosen. Measurements are made up here."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nas.deliver import ProofFailed
from nas.evaluate import Quality
from nas.stages import contract
from nas.stages.contract import ENOUGH, ROUNDS, best_float, choose, finalists, holds
from nas.stages.search import within
from nas.stages.verifier import Row, Verifier
from nas.strategies import Result
from nas.testing.strategies import example
from nas.verify import GUARD
from spaces import Architecture

Budget = Mapping[str, float]


def result(index: int, quality: float, latency_ms: float, size_bytes: float = 1000) -> Result:
    """What the search says of the architecture at this index."""
    values = {"quality": quality, "latency_ms": latency_ms, "size_bytes": size_bytes}
    return Result(index, example().at(index), values)


class Device:
    """Stands for the verifier. ``slower``: measured upper bound over predicted latency, by turn of measuring."""

    def __init__(
        self, results: Sequence[Result], *slower: float | Callable[[Result], float], bytes_per_byte: float = 1
    ) -> None:
        self.results = {r.architecture.key: r for r in results}
        self.slower = slower
        self.bytes_per_byte = bytes_per_byte
        self.rows: dict[str, Row] = {}
        self.times: dict[str, int] = {}
        self.refused: dict[str, str] = {}
        self.unprovable: set[str] = set()
        self.offered: list[list[Result]] = []  # what best() had to choose from
        self.verified: list[list[str]] = []

    def best(self, results: Sequence[Result], count: int) -> list[Result]:
        self.offered.append(list(results))
        return sorted(results, key=self.order, reverse=True)[:count]

    def order(self, result: Result) -> tuple[float, float, str]:
        return result.values["quality"], 0.0, result.architecture.key

    remeasure = True

    def quality(self, architecture: Architecture) -> Quality:
        return Quality(self.accuracy(self.results[architecture.key].values["quality"]), -1.0)

    slack = 0.5

    def accuracy(self, score: float) -> float:
        return 100 * score

    def verify(self, architectures: Sequence[Architecture]) -> list[Row]:
        self.verified.append([a.key for a in architectures])
        self.refused |= {a.key: "codes differ" for a in architectures if a.key in self.unprovable}
        proven = [a for a in architectures if a.key not in self.unprovable]
        for a in proven:
            if a.key not in self.rows:
                self.rows[a.key] = self._row(a)
                self._time(a.key)
        return [self.rows[a.key] for a in proven]

    def confirm(self, rows: Sequence[Row]) -> None:
        for row in rows:
            self._time(row["key"])

    def _time(self, key: str) -> None:
        turn = self.times[key] = self.times.get(key, -1) + 1
        factor = self.slower[min(turn, len(self.slower) - 1)]
        ratio = factor if isinstance(factor, float | int) else factor(self.results[key])
        times = self.rows[key]["latency_ms"]
        upper = max(times["measured_upper"] or 0.0, times["predicted"] * ratio)
        times.update(measured=upper / GUARD, measured_upper=upper)

    def _row(self, architecture: Architecture) -> Row:
        values = self.results[architecture.key].values
        return {
            "key": architecture.key,
            "quality": {"predicted": 0.0, "supernet": 100 * values["quality"], "exported": None},
            "score": values["quality"],
            "latency_ms": {"predicted": values["latency_ms"], "measured": None, "measured_upper": None},
            "size_bytes": int(values["size_bytes"] * self.bytes_per_byte),
            "costs": {"size_bytes": int(values["size_bytes"])},
        }


def ask(device: Device, budget: Budget, count: int = 3, aimed: Budget | None = None) -> list[Row]:
    """The finalists of everything that the device knows."""
    results = list(device.results.values())
    return finalists(
        cast(Verifier, device), lambda limits: within(results, limits), results, budget, aimed or budget, count
    )


LADDER = [result(i, 0.5 + i / 100, 0.1 * (i + 1)) for i in range(40)]  # the slower, the better: 0.1 to 4.0 ms


def test_a_network_without_proof_is_passed_over() -> None:
    """It is no finalist, another one takes its place, and it is not asked for again."""
    device = Device(LADDER, 1.0)
    best = [r.architecture.key for r in LADDER[19:8:-1]]  # of those within 2.0 ms, best first
    device.unprovable = set(best[:3])
    rows = ask(device, {"latency_ms": 2.0})
    assert [row["key"] for row in rows][:3] == best[3:6]
    asked = [key for round_ in device.verified for key in round_]
    assert len(asked) == len(set(asked))


def test_if_no_network_has_its_proof_the_reason_is_said() -> None:
    """A run without a single network is an error, and not an empty table."""
    device = Device(LADDER, 1.0)
    device.unprovable = {r.architecture.key for r in LADDER}
    with pytest.raises(ProofFailed, match=r"\Ano network could be delivered; codes differ\Z"):
        ask(device, {"latency_ms": 2.0})


# --- Keeping a budget -------------------------------------------------------------------------------------------------


def row(
    key: str = "a", quality: float = 90.0, upper: float | None = 1.0, predicted: float = 1.0, size: int = 10
) -> Row:
    """One row of the contract table."""
    times = {"predicted": predicted, "measured": upper and upper * 0.9, "measured_upper": upper}
    return {
        "key": key, "quality": {"predicted": 0, "supernet": quality, "exported": None}, "score": 0.0,
        "log_likelihood": 0.0, "latency_ms": times, "size_bytes": size, "costs": {"energy_pj": 3.0 * size},
    }  # fmt: skip


@pytest.mark.parametrize(
    ("made", "budget", "expected"),
    [
        (row(upper=1.0), {"latency_ms": 1.0}, True),
        (row(upper=1.0001), {"latency_ms": 1.0}, False),
        (row(upper=1.1, predicted=0.5), {"latency_ms": 1.0}, False),  # what is measured decides
        (row(upper=0.5, predicted=1.1), {"latency_ms": 1.0}, True),
        (row(upper=None, predicted=0.9), {"latency_ms": 1.0}, True),  # nothing was measured
        (row(upper=None, predicted=1.1), {"latency_ms": 1.0}, False),
        (row(size=10), {"size_bytes": 10}, True),
        (row(size=11), {"latency_ms": 2.0, "size_bytes": 10}, False),
        (row(size=10), {"energy_pj": 29.0}, False),
        (row(upper=9.0, size=99), {}, True),
    ],
)
def test_a_row_keeps_a_budget_by_its_upper_bound_and_size(made: Row, budget: Budget, expected: bool) -> None:
    """Every limit, the limit itself included."""
    assert holds(made, budget) is expected


rows_of_any_kind = st.lists(
    st.builds(
        row,
        st.text("abc", min_size=1, max_size=3),
        st.sampled_from([80.0, 90.0, 95.0]),
        st.sampled_from([0.5, 1.0, 1.5, None]),
        st.sampled_from([0.5, 1.5]),
        st.integers(1, 20),
    ),
    max_size=8,
)


@given(rows_of_any_kind, st.sampled_from([{}, {"latency_ms": 1.0}, {"latency_ms": 0.2}, {"size_bytes": 10.0}]))
def test_the_chosen_row_keeps_the_budget_and_no_better_one_does(rows: list[Row], budget: Budget) -> None:
    """None exactly if no row keeps it."""
    best = choose(rows, budget)
    keep = [r for r in rows if holds(r, budget)]
    assert (best is None) == (not keep)
    if best is not None:
        assert holds(best, budget)
        assert best["quality"]["supernet"] == max(r["quality"]["supernet"] for r in keep)


# --- Finalists --------------------------------------------------------------------------------------------------------


def test_a_network_that_measures_over_the_budget_is_never_chosen() -> None:
    """The best by far by quality and prediction; its measured upper bound is a hair over."""
    cheat = result(50, 0.99, 0.9)
    device = Device([*LADDER, cheat], lambda r: 1.12 if r is cheat else 1.0)
    budget = {"latency_ms": 1.0}
    rows = ask(device, budget)
    chosen = choose(rows, budget)
    assert cheat.architecture.key in {r["key"] for r in rows}  # it was tried
    assert chosen is not None
    assert chosen["key"] != cheat.architecture.key
    assert chosen["latency_ms"]["measured_upper"] <= 1.0


@pytest.mark.parametrize("slower", [0.99, 1.0])
def test_one_round_is_enough_where_predictions_hold(slower: float) -> None:
    """The best ``count`` within the budget by prediction, each timed twice."""
    device = Device(LADDER, slower)
    rows = ask(device, {"latency_ms": 1.0})
    assert [r["key"] for r in rows] == [LADDER[i].architecture.key for i in (9, 8, 7)]
    assert len(device.offered) == 1
    assert set(device.times.values()) == {1}


@pytest.mark.parametrize("slower", [1.2, 1.6, 2.4])
def test_rounds_aim_lower_by_what_was_measured(slower: float) -> None:
    """Predictions too good by a factor: the next round is offered faster networks only, and finds ones that hold."""
    device = Device(LADDER, slower)
    budget = {"latency_ms": 1.0}
    rows = ask(device, budget)
    slowest = [max(r.values["latency_ms"] for r in offered) for offered in device.offered]
    assert slowest == sorted(slowest, reverse=True)
    assert len(set(slowest)) == len(slowest) == 2
    assert slowest[1] <= 1.0 / slower + 1e-9
    assert sum(holds(r, budget) for r in rows) >= ENOUGH
    assert choose(rows, budget) is not None


def test_no_network_is_verified_in_two_rounds() -> None:
    """What was tried is not offered again, also where the lowered limit would let it in: 1.0 x 1.01, 0.9 x 1.12 ..."""
    factors = {LADDER[9].trial: 1.01, LADDER[8].trial: 1.12, LADDER[7].trial: 1.26}
    device = Device(LADDER, lambda r: factors.get(r.trial, 1.0))
    ask(device, {"latency_ms": 1.0})
    assert max(r.values["latency_ms"] for r in device.offered[1]) < 0.893
    tried = [key for keys in device.verified for key in keys]
    assert len(device.verified) == 2
    assert len(set(tried)) == len(tried) == 6


def test_what_measures_faster_than_predicted_is_followed_by_larger_networks() -> None:
    """Of 2.01 ms, 1.8 are aimed at, and all measure 20 % less: the next round goes up to what would take 2.01."""
    device = Device(LADDER, 0.8)
    budget = {"latency_ms": 2.01}
    chosen = choose(ask(device, budget, aimed={"latency_ms": 1.8}), budget)
    assert chosen is not None
    assert chosen["key"] == LADDER[24].architecture.key  # predicted to take 2.5 ms
    assert len(device.offered) == 2


def test_there_are_at_most_so_many_rounds() -> None:
    """A device on which nothing holds is not searched for ever."""
    many = [result(i, 0.5 + i / 1000, 1 + i * 1e-4) for i in range(400)]
    device = Device(many, lambda r: 5.0)
    ask(device, {"latency_ms": 2.0})
    assert len(device.offered) <= ROUNDS


def test_where_nothing_keeps_the_budget_the_fastest_are_shown() -> None:
    """And nothing is chosen."""
    device = Device(LADDER, 1.3)
    budget = {"latency_ms": 0.11}
    rows = ask(device, budget)
    assert choose(rows, budget) is None
    keys = {r["key"] for r in rows}
    assert {LADDER[0].architecture.key, LADDER[1].architecture.key} <= keys


def test_where_no_prediction_keeps_the_budget_the_fastest_are_shown() -> None:
    """No candidate to check: still a table to show."""
    device = Device(LADDER, 1.0)
    rows = ask(device, {"latency_ms": 0.01})
    assert [r["key"] for r in rows] == [LADDER[0].architecture.key, LADDER[1].architecture.key]
    assert device.offered == []


def test_the_last_measurement_may_refute_a_finalist() -> None:
    """It held when it was timed first; timed again beside the others it does not: it is not chosen."""
    budget = {"latency_ms": 1.0}
    device = Device(LADDER[:10], 0.95, lambda r: 1.02 if r is LADDER[9] else 0.95)
    rows = ask(device, budget)
    chosen = choose(rows, budget)
    assert chosen is not None
    assert chosen["key"] == LADDER[8].architecture.key


def test_a_single_finalist_is_enough_if_one_is_asked_for() -> None:
    """``finalists: 1`` needs one that holds, not two."""
    device = Device(LADDER, 1.0)
    assert len(ask(device, {"latency_ms": 1.0}, count=1)) == 1


def test_a_size_budget_is_one_of_files_and_aimed_at_by_counted_bytes() -> None:
    """Files are larger than what is counted: the next round takes that into account."""
    sized = [result(i, 0.5 + i / 100, 1.0, 100 * (i + 1)) for i in range(40)]
    device = Device(sized, 1.0, bytes_per_byte=1.7)
    budget = {"size_bytes": 2000.0}
    rows = ask(device, budget)
    chosen = choose(rows, budget)
    assert chosen is not None
    assert chosen["size_bytes"] <= 2000
    assert max(r.values["size_bytes"] for r in device.offered[1]) <= 2000 / 1.7 + 1


def test_without_a_budget_the_best_are_finalists() -> None:
    """Nothing limits: the best ``count`` of all, one round."""
    device = Device(LADDER, 7.0)
    rows = ask(device, {})
    assert [r["key"] for r in rows] == [LADDER[i].architecture.key for i in (39, 38, 37)]
    assert len(device.offered) == 1


def test_without_measuring_predictions_decide() -> None:
    """``--no-remeasure``: no row has a measurement, a size budget included, and nothing fails."""

    class Recorded(Device):
        def _time(self, key: str) -> None:
            self.times[key] = 0

    device = Recorded(LADDER, 1.0, bytes_per_byte=3)
    rows = ask(device, {"latency_ms": 1.0, "size_bytes": 2000})
    assert all(r["latency_ms"]["measured_upper"] is None for r in rows)
    assert choose(rows, {"latency_ms": 1.0, "size_bytes": 2000}) is None
    assert choose(ask(device, {"latency_ms": 1.0}), {"latency_ms": 1.0}) is not None


@given(
    st.lists(st.tuples(st.floats(0, 1), st.floats(0.1, 5), st.floats(0.5, 2.5)), min_size=1, max_size=30),
    st.floats(0.1, 5),
)
def test_whatever_is_measured_what_is_chosen_was_measured_within_the_budget(world: list[Any], limit: float) -> None:
    """The promise itself, for made-up searches and devices."""
    results = [result(i, quality, ms) for i, (quality, ms, _) in enumerate(world)]
    device = Device(results, lambda r: world[r.trial][2])
    rows = ask(device, {"latency_ms": limit})
    chosen = choose(rows, {"latency_ms": limit})
    assert rows
    if chosen is not None:
        made = world[device.results[chosen["key"]].trial]
        assert made[1] * made[2] <= limit
    else:
        assert all(not holds(r, {"latency_ms": limit}) for r in rows)


# --- Best float-only --------------------------------------------------------------------------------------------------


def test_the_best_float_network_is_the_fastest_that_is_accurate_enough() -> None:
    """As measured, half a point of accuracy below the given one at most."""
    device = Device(LADDER, 1.0)
    found = best_float(cast(Verifier, device), LADDER, 60.2)
    assert found is not None
    assert found["key"] == LADDER[10].architecture.key  # 60.0 %, 1.1 ms


def test_the_measured_order_of_float_networks_counts() -> None:
    """Predicted faster, measured slower: the other one is the baseline."""
    device = Device(LADDER, lambda r: 3.0 if r is LADDER[10] else 1.0)
    found = best_float(cast(Verifier, device), LADDER, 60.2)
    assert found is not None
    assert found["key"] == LADDER[11].architecture.key


def test_where_no_float_network_is_accurate_enough_the_best_one_is_shown() -> None:
    """Its accuracy in the table says that it is worse."""
    device = Device(LADDER, 1.0)
    found = best_float(cast(Verifier, device), LADDER, 99.0)
    assert found is not None
    assert found["key"] == LADDER[39].architecture.key


# --- Choosing ---------------------------------------------------------------------------------------------------------


def test_the_loss_decides_and_accuracy_only_among_equals() -> None:
    """What few images tell of accuracy is luck; the score is of the loss."""
    better, luckier = row("a", 90.0) | {"score": 0.2}, row("b", 91.0) | {"score": 0.1}
    assert choose([luckier, better], {"latency_ms": 1.0}) is better
    assert choose([row("a", 90.0), row("b", 91.0)], {"latency_ms": 1.0})["key"] == "b"  # type: ignore[index]


def test_choosing_changes_no_row() -> None:
    """Rows are what the report shows."""
    rows = [row("a"), row("b", 95.0, 3.0)]
    before = copy.deepcopy(rows)
    choose(rows, {"latency_ms": 1.0})
    assert rows == before
    assert within(LADDER, {"latency_ms": 0.25}) == [LADDER[1], LADDER[0]]
    assert contract.order(row("a")) > contract.order(row("a", 89.0))
