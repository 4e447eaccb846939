"""What every search strategy promises, as a suite to inherit.

    class TestMine(StrategyContract):
        strategy = Mine

Two lines, and every promise of :class:`nas.strategies.Strategy` is checked on it. ``strategy`` is the class (or what
else makes one of space, objectives, budget, seed and signals), or a name of the registry.
"""

from __future__ import annotations

import inspect
import math
import os
import random
import re
import subprocess
import sys
from collections.abc import Collection, Mapping, Sequence
from functools import cache
from typing import ClassVar

import numpy as np
import pytest
from numpy.typing import NDArray

from nas.strategies import STRATEGIES, Make, Result, Signals, Strategy
from spaces import Architecture, Batch, Space, from_text

OBJECTIVES = ("quality", "latency_ms", "size_bytes")
SPACE = """\
model:
  family: convnet
  stages:
    - {depth: {choice: [1, 2, 3]}, width: {choice: [4, 8, 16]}, kernel: {choice: [3, 5], per: block}}
    - {depth: {choice: [1, 2]}, width: {choice: [8, 16]}, kernel: 3, stride: 2, residual: true}
precision: {choice: [float, w8a8, w4a8], per: layer}
"""
ELSEWHERE = """\
import importlib.util, sys
from nas.testing.strategies import live
spec = importlib.util.spec_from_file_location("elsewhere", sys.argv[1])
module = importlib.util.module_from_spec(spec)
sys.modules["elsewhere"] = module
spec.loader.exec_module(module)
print(*live(getattr(module, sys.argv[2])().make(seed=3), 3))
"""


@cache
def example() -> Space:
    """A space with conditional, ordered and categorical choices."""
    return from_text(SPACE)


def score(architecture: Architecture) -> dict[str, float]:
    """Objectives of a made-up world: wide is good and slow, float is slow, 4 bits are small."""
    width = math.log(1 + sum(v for v in architecture.values() if type(v) is int))
    floats = sum(v == "float" for v in architecture.values())
    fours = sum(v == "w4a8" for v in architecture.values())
    return {"quality": width - 0.05 * fours, "latency_ms": width + 0.5 * floats, "size_bytes": 100.0 * width - fours}


def told(trials: Sequence[int], architectures: Sequence[Architecture]) -> list[Result]:
    """Results of these trials; every seventh failed, every eleventh has no number."""
    results = []
    for trial, architecture in zip(trials, architectures, strict=True):
        if trial % 7 == 3:
            results.append(Result(trial, architecture, {}, "failed", "the device was unplugged"))
        elif trial % 11 == 5:
            results.append(Result(trial, architecture, {**score(architecture), "quality": math.nan}))
        else:
            results.append(Result(trial, architecture, score(architecture)))
    return results


def live(searcher: Strategy, turns: int, count: int = 40) -> list[str]:
    """Keys of the proposals of some turns of ask and tell."""
    keys: list[str] = []
    for _ in range(turns):
        proposals = searcher.ask(count)
        searcher.tell(told(range(len(keys), len(keys) + len(proposals)), proposals))
        keys += [a.key for a in proposals]
    return keys


class StrategyContract:
    """Inherit and say which ``strategy``."""

    strategy: ClassVar[Make | str]
    repeats: ClassVar[bool] = False  # whether it may propose an architecture twice, as Optuna's samplers do

    def make(
        self, space: Space | None = None, seed: int = 0, budget: Mapping[str, float] | None = None,
        signals: Signals | None = None,
    ) -> Strategy:  # fmt: skip
        """A fresh strategy of this kind."""
        make = type(self).strategy
        limits = {"latency_ms": 3.0} if budget is None else budget
        chosen: Make = STRATEGIES[make] if isinstance(make, str) else make
        return chosen(example() if space is None else space, OBJECTIVES, limits, seed, signals)

    # --- Proposals

    @pytest.mark.parametrize("count", [0, 1, 7, 60])
    def test_as_many_proposals_as_asked_for_and_all_in_the_space(self, count: int) -> None:
        """Canonical: the space makes the same architecture of its values."""
        proposals = self.make().ask(count)
        assert len(proposals) == count
        assert all(example().architecture(dict(a)) == a for a in proposals)

    def test_proposals_stay_in_the_space_after_learning(self) -> None:
        """Through generations, failures and missing numbers."""
        searcher = self.make()
        live(searcher, 5)
        assert all(example().architecture(dict(a)) == a for a in searcher.ask(60))

    def test_no_architecture_is_proposed_twice(self) -> None:
        """Not even while nothing is told, and not after learning."""
        if self.repeats:
            pytest.skip("it may repeat itself, and a budget is a preference to it")
        keys = live(self.make(), 4)
        assert len(set(keys)) == len(keys) == 160

    def test_a_small_space_is_searched_to_its_end(self) -> None:
        """Every architecture once, in however many turns, and then nothing."""
        if self.repeats:
            pytest.skip("it may repeat itself, and a budget is a preference to it")
        small = from_text("model: {family: convnet, stages: [{width: {choice: [4, 8, 12]}, kernel: {choice: [1, 3]}}]}")
        searcher = self.make(small)
        keys = live(searcher, 4, 2)
        assert sorted(keys) == sorted(a.key for a in small.enumerate())
        assert searcher.ask(5) == []

    def test_a_space_of_one_network_is_searched_in_no_time(self) -> None:
        """Nothing to choose."""
        if self.repeats:
            pytest.skip("it may repeat itself, and a budget is a preference to it")
        only = from_text("model: {family: convnet, stages: [{width: 4}]}")
        assert live(self.make(only), 2, 60) == [only.at(0).key]

    def test_what_is_known_ahead_to_break_the_budget_is_not_proposed(self) -> None:
        """Counted costs cost nothing: they are looked at before."""
        if self.repeats:
            pytest.skip("it may repeat itself, and a budget is a preference to it")
        space = example()

        def ahead(batch: Batch, names: Collection[str]) -> Mapping[str, NDArray[np.float64]]:
            return {"size_bytes": space.cost(batch)["size_bytes"].astype(np.float64)}

        sizes = space.cost(space.sample_many(500, np.random.default_rng(0)))["size_bytes"]
        limit = float(np.quantile(sizes, 0.3))
        searcher = self.make(budget={"size_bytes": limit}, signals=Signals(ahead))
        live(searcher, 3)
        proposals = searcher.ask(40)
        assert np.mean(space.cost(proposals)["size_bytes"] <= limit) > 0.9

    def test_a_restricted_space_is_never_left(self) -> None:
        """Choices with one value left have that value."""
        floats = example().restrict({"float"})
        searcher = self.make(floats)
        live(searcher, 2)
        for architecture in searcher.ask(30):
            assert {v for k, v in architecture.items() if k.endswith("precision")} == {"float"}

    # --- Determinism

    def test_the_same_seed_gives_the_same_sequence(self) -> None:
        """Another seed another one."""
        assert live(self.make(seed=3), 3) == live(self.make(seed=3), 3)
        assert live(self.make(seed=3), 3) != live(self.make(seed=4), 3)

    def test_the_sequence_is_the_same_in_another_process(self) -> None:
        """Hash seeds and import orders have no say."""
        command = [sys.executable, "-c", ELSEWHERE, inspect.getfile(type(self)), type(self).__name__]
        paths = {"PYTHONPATH": os.pathsep.join(sys.path), "PYTHONHASHSEED": "7"}
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, env=os.environ | paths, check=False)
        assert done.returncode == 0, done.stderr
        assert done.stdout.split() == live(self.make(seed=3), 3)

    def test_proposals_do_not_depend_on_how_many_are_asked_for_at_once(self) -> None:
        """While nothing is told in between."""
        one = self.make(seed=1)
        assert self.make(seed=1).ask(9) == [*one.ask(2), *one.ask(0), *one.ask(7)]

    def test_strategies_do_not_share_a_state(self) -> None:
        """Two at work in turns propose what each proposes alone."""
        a, b = self.make(seed=1), self.make(seed=2)
        both = [(live(a, 1), live(b, 1)) for _ in range(1)]
        assert both == [(live(self.make(seed=1), 1), live(self.make(seed=2), 1))]

    def test_a_replay_of_the_events_is_the_live_search(self) -> None:
        """State is arguments and events, nothing else: late, partial and reordered tells included."""
        rng = random.Random(5)
        events: list[tuple[str, object]] = []
        searcher = self.make(seed=7)
        proposals: list[Architecture] = []
        open_trials: list[int] = []
        for _ in range(6):
            count = rng.randrange(5, 40)
            events.append(("ask", count))
            new = searcher.ask(count)
            open_trials += range(len(proposals), len(proposals) + count)
            proposals += new
            rng.shuffle(open_trials)
            now, open_trials = open_trials[: len(open_trials) // 2], open_trials[len(open_trials) // 2 :]
            results = told(now, [proposals[i] for i in now])
            events.append(("tell", results))
            searcher.tell(results)
        again, replayed = self.make(seed=7), []
        for kind, what in events:
            if kind == "ask":
                assert isinstance(what, int)
                replayed += again.ask(what)
            else:
                assert isinstance(what, list)
                again.tell(what)
        assert replayed == proposals
        assert again.ask(30) == searcher.ask(30)

    # --- Tell

    def test_results_come_in_any_order_and_in_parts(self) -> None:
        """Reversed, one at a time, some never."""
        searcher = self.make()
        proposals = searcher.ask(60)
        for result in reversed(told(range(60), proposals)[5:]):
            searcher.tell([result])
        assert len(searcher.ask(10)) == 10

    def test_telling_nothing_changes_nothing(self) -> None:
        """An empty list is no event."""
        searcher = self.make(seed=2)
        searcher.tell([])
        assert searcher.ask(20) == self.make(seed=2).ask(20)

    def test_a_trial_told_again_changes_nothing(self) -> None:
        """Idempotent by trial, also where the repetition says something else."""
        once, twice = self.make(seed=2), self.make(seed=2)
        for searcher in (once, twice):
            searcher.tell(told(range(60), searcher.ask(60)))
        proposals = self.make(seed=2).ask(60)
        twice.tell(told(range(60), proposals))
        twice.tell(
            [Result(i, a, {"quality": 9e9, "latency_ms": 0.0, "size_bytes": 0.0}) for i, a in enumerate(proposals)]
        )
        twice.tell([Result(0, proposals[0], {}, "failed", "late")])
        assert once.ask(40) == twice.ask(40)

    def test_a_search_of_failures_goes_on(self) -> None:
        """Nothing was ever measured: there are proposals still."""
        searcher = self.make()
        for turn in range(3):
            proposals = searcher.ask(50)
            searcher.tell([Result(50 * turn + i, a, {}, "failed", "no device") for i, a in enumerate(proposals)])
        assert len(searcher.ask(5)) == 5

    @pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
    def test_a_value_that_is_no_number_is_a_failure(self, value: float) -> None:
        """In any objective: never a parent, never an error."""
        searcher = self.make()
        proposals = searcher.ask(60)
        names = [OBJECTIVES[i % 3] for i in range(60)]
        searcher.tell([Result(i, a, {**score(a), names[i]: value}) for i, a in enumerate(proposals)])
        assert len(searcher.ask(5)) == 5

    @pytest.mark.parametrize("trial", [-1, 4, 10**9])
    def test_a_trial_that_was_never_proposed_is_refused(self, trial: int) -> None:
        """By a message that says how many there are; what was told before it is learned."""
        searcher = self.make()
        proposals = searcher.ask(4)
        message = f"trial {trial} was never proposed; 4 have been"
        with pytest.raises(ValueError, match=rf"\A{re.escape(message)}\Z"):
            searcher.tell(
                [Result(0, proposals[0], score(proposals[0])), Result(trial, proposals[0], score(proposals[0]))]
            )
        assert len(searcher.ask(2)) == 2

    def test_a_budget_that_nothing_keeps_is_no_error(self) -> None:
        """The strategy searches on; whoever asked decides what to do about it."""
        searcher = self.make(budget={"latency_ms": 1e-9, "size_bytes": 1e-9})
        live(searcher, 3)
        assert len(searcher.ask(5)) == 5

    def test_no_budget_is_no_error(self) -> None:
        """Everything is allowed."""
        assert len(live(self.make(budget={}), 3)) == 120
