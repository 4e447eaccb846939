"""The search stage: proposals, answers and the ledger; a resumed search is the uninterrupted one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import pytest

from nas.ledger import Ledger
from nas.stages.search import BATCH, Plan, ReplayError, distinct, pareto, search, within
from nas.strategies import Result
from nas.terminal import Progress
from nas.testing.strategies import OBJECTIVES, example, score
from spaces import Architecture


class Answers:
    """Stands for the predictors. Counts what it is asked; ``stop_after`` so many calls it is killed."""

    def __init__(self, stop_after: int | None = None) -> None:
        self.asked: list[int] = []
        self.stop_after = stop_after

    def __call__(self, architectures: Sequence[Architecture]) -> list[dict[str, float]]:
        if len(self.asked) == self.stop_after:
            raise KeyboardInterrupt("stopped")
        self.asked.append(len(architectures))
        return [score(a) for a in architectures]


def plan(label: str = "main", strategy: str = "optuna:nsga2", trials: int = 2 * BATCH + 20, seed: int = 0) -> Plan:
    """A search of the example space."""
    return Plan(label, example(), strategy, trials, OBJECTIVES, {"latency_ms": 3.0}, seed)


def run(ledger: Path, what: Plan, answers: Answers | None = None, told: list[Any] | None = None) -> list[Result]:
    """The search of a plan on a ledger, as a fresh process would do it."""
    progress = cast(Progress, lambda *facts: (told if told is not None else []).append(facts))
    return search(what, example(), answers or Answers(), Ledger(ledger), progress)


def test_trials_are_numbered_valued_and_recorded(tmp_path: Path) -> None:
    """In batches, by index of the full space, with values and progress."""
    answers, told = Answers(), list[Any]()
    results = run(tmp_path / "l", plan(), answers, told)
    assert [r.trial for r in results] == list(range(2 * BATCH + 20))
    assert answers.asked == [BATCH, BATCH, 20]
    assert [t[:3] for t in told] == [("main trial", n, 120) for n in (50, 100, 120)]
    assert all(dict(r.values) == score(r.architecture) for r in results)
    records = Ledger.read(tmp_path / "l")
    assert [(r["kind"], r["search"], len(r["results"])) for r in records] == [("tell", "main", n) for n in (50, 50, 20)]
    rows = [row for r in records for row in r["results"]]
    assert [example().at(int(row["index"])) for row in rows] == [r.architecture for r in results]
    assert all(isinstance(row["index"], str) for row in rows)  # text: readers of JSON keep 53 bits


@pytest.mark.parametrize("strategy", ["random", "optuna:nsga2"])
@pytest.mark.parametrize("done", [0, 1, 2])
def test_a_search_that_is_killed_and_resumed_is_the_uninterrupted_one(tmp_path: Path, strategy: str, done: int) -> None:
    """Same results, same ledger; only what was not recorded is asked again."""
    what = plan(strategy=strategy)
    whole = run(tmp_path / "whole", what)
    with pytest.raises(KeyboardInterrupt, match="stopped"):
        run(tmp_path / "resumed", what, Answers(stop_after=done))
    before = (tmp_path / "resumed").read_bytes() if done else b""
    answers = Answers()
    assert run(tmp_path / "resumed", what, answers) == whole
    assert sum(answers.asked) == what.trials - done * BATCH
    assert (tmp_path / "resumed").read_bytes() == (tmp_path / "whole").read_bytes()
    assert (tmp_path / "resumed").read_bytes().startswith(before)


def test_a_finished_search_asks_and_records_nothing(tmp_path: Path) -> None:
    """It is read from the ledger."""
    whole = run(tmp_path / "l", plan())
    before, answers = (tmp_path / "l").read_bytes(), Answers()
    assert run(tmp_path / "l", plan(), answers) == whole
    assert answers.asked == []
    assert (tmp_path / "l").read_bytes() == before


def test_searches_of_one_run_do_not_mix(tmp_path: Path) -> None:
    """Each replays its own label; a restricted space records by the index of the full one."""
    floats = replace(plan("float"), space=example().restrict({"float"}), trials=30)
    alone = run(tmp_path / "alone", floats)
    run(tmp_path / "both", plan("main", "random", 70))
    assert run(tmp_path / "both", floats) == alone
    assert run(tmp_path / "both", floats) == alone
    assert run(tmp_path / "both", plan("main", "random", 70)) == run(tmp_path / "x", plan("main", "random", 70))


def rewritten(source: Path, target: Path, change: Any) -> None:
    """The same records after ``change``, chained anew: a ledger that verifies."""
    ledger = Ledger(target)
    for record in Ledger.read(source):
        fields = {k: v for k, v in record.items() if k not in ("n", "kind", "previous", "digest")}
        ledger.append(record["kind"], **change(fields))


DIFFERS = (
    r"search 'main': the replay of trial 50 proposes other architectures than the ledger holds; "
    r"was the run made with other versions of the packages\?"
)


def test_a_record_that_the_strategy_did_not_propose_is_refused(tmp_path: Path) -> None:
    """One architecture of the second batch was exchanged, digests and all."""

    def change(fields: dict[str, Any]) -> dict[str, Any]:
        if fields["results"][0]["trial"] == BATCH:
            row = fields["results"][7]
            row["index"] = str((int(row["index"]) + 1) % example().size)
        return fields

    run(tmp_path / "l", plan())
    rewritten(tmp_path / "l", tmp_path / "tampered", change)
    with pytest.raises(ReplayError, match=rf"\A{DIFFERS}\Z"):
        run(tmp_path / "tampered", plan())


def test_values_that_were_changed_lead_elsewhere(tmp_path: Path) -> None:
    """The first batch says other values: what a strategy that learns proposed after it cannot be replayed."""

    def change(fields: dict[str, Any]) -> dict[str, Any]:
        for row in fields["results"]:
            row["values"] = {name: 10 - value for name, value in row["values"].items()}
        return fields

    what = plan(trials=3 * BATCH)  # a generation of the sampler is one batch
    run(tmp_path / "l", what)
    rewritten(tmp_path / "l", tmp_path / "tampered", change)
    with pytest.raises(ReplayError, match="search 'main': the replay of trial"):
        run(tmp_path / "tampered", what)


def test_a_ledger_of_another_seed_is_refused(tmp_path: Path) -> None:
    """From the first trial on."""
    run(tmp_path / "l", plan(strategy="random"))
    with pytest.raises(ReplayError, match="the replay of trial 0 proposes other architectures"):
        run(tmp_path / "l", plan(strategy="random", seed=1))


def test_an_answer_that_json_cannot_hold_is_refused_and_not_recorded(tmp_path: Path) -> None:
    """Predictors give finite numbers; if one does not, nothing half-told is left behind."""

    class Nothing(Answers):
        def __call__(self, architectures: Sequence[Architecture]) -> list[dict[str, float]]:
            return [{**score(a), "quality": float("nan")} for a in architectures]

    with pytest.raises(ValueError, match=r"value\['results'\]\[0\]\['values'\]\['quality'\] is nan"):
        run(tmp_path / "l", plan(), Nothing())
    assert Ledger.read(tmp_path / "l") == ()


# --- Results ----------------------------------------------------------------------------------------------------------


def results_of(*rows: tuple[int, float, float]) -> list[Result]:
    """(index of the architecture, quality, latency)."""
    return [Result(i, example().at(index), {"quality": q, "latency_ms": ms}) for i, (index, q, ms) in enumerate(rows)]


def test_distinct_keeps_the_first_of_equals_and_the_usable_ones() -> None:
    """In the order of trials."""
    results = results_of((5, 1, 1), (6, 2, 2), (5, 3, 3), (7, float("nan"), 1))
    results.append(Result(4, example().at(8), {"quality": 1.0, "latency_ms": 1.0}, "failed", "x"))
    assert [r.trial for r in distinct(results)] == [0, 1]


def test_within_keeps_all_limits_and_sorts_by_quality() -> None:
    """A limit may be reached; equal qualities have a fixed order."""
    results = results_of((5, 1, 1), (6, 2, 2.5), (7, 3, 2), (8, 1, 1))
    assert [r.trial for r in within(results, {"latency_ms": 2})][:1] == [2]
    assert {r.trial for r in within(results, {"latency_ms": 2})} == {0, 2, 3}
    assert within(results, {"latency_ms": 2, "quality": 0}) == []
    assert within(results, {}) == within(list(reversed(results)), {})


def test_pareto_is_sorted_by_latency() -> None:
    """Fastest first; what is slower must be better."""
    results = results_of((5, 1, 1), (6, 3, 3), (7, 2, 2), (8, 1.5, 2.5), (9, 0.5, 0.9))
    assert [r.trial for r in pareto(results)] == [4, 0, 2, 1]
    assert pareto([]) == []
