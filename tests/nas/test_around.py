"""Looking around the best of a search: within the limits, few checks, the same again, better than the search was."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nas.data import Quality
from nas.stages.around import EACH, MORE, MOST, OF_SEARCH, Around
from nas.stages.verifier import Verifier
from nas.strategies import Result
from predictors.accuracy import AccuracyPredictor, fit
from spaces import Architecture, Batch, Space
from spaces.randomness import generator
from tests.examples import convnet

STAGES = """
[{depth: {choice: [1, 2, 3]}, width: {choice: [4, 8, 12, 16]}, kernel: {choice: [1, 3, 5], per: block}},
 {depth: {choice: [1, 2]}, width: {choice: [8, 16, 24]}, kernel: {choice: [3, 5], per: block}, stride: 2}]
"""
SPACE = convnet(STAGES)
DRAWN = list(dict.fromkeys(SPACE.sample_many(60, generator(0, "test.around"), by_choice=True)))


def truth(architecture: Architecture) -> Quality:
    """Wide and deep is good, with a taste for small kernels that a few examples do not tell."""
    sizes = [v for name, v in architecture.items() if "kernel" in name]
    loss = 2 - 0.02 * sum(v for name, v in architecture.items() if "width" in name) - 0.1 / (1 + np.var(sizes))
    return Quality(50 - 10 * loss, -float(loss))


class World:
    """Stands for the verifier."""

    def __init__(self, taught: int = 20, bad: Sequence[str] = (), space: Space = SPACE) -> None:
        self.asked, self.predict, self.bad = SimpleNamespace(searched=space), self, bad
        self.drawn = DRAWN if space is SPACE else space.sample_many(taught, generator(0, "test.around"))
        known = self.drawn[:taught]
        likelihood, accuracy = np.array([(q.log_likelihood, q.accuracy) for q in map(truth, known)]).T
        self.accuracy = fit(space, known, likelihood, accuracy)
        self.checked: list[str] = []
        self._predictor, self._predicted = self.accuracy, dict[str, float]()

    def progress(self, what: str, done: int, total: int) -> None:
        """As a terminal would."""
        assert done <= total

    def quality(self, architecture: Architecture) -> Quality:
        """Counted."""
        if architecture.key not in self.checked:
            self.checked.append(architecture.key)
        return Quality(0.0, math.nan) if architecture.key in self.bad else truth(architecture)

    def learn(self, architectures: Sequence[Architecture]) -> AccuracyPredictor:
        """As the verifier does."""
        return Verifier.learn(cast(Verifier, self), architectures)

    def ahead(self, batch: Batch, names: Sequence[str]) -> Mapping[str, Any]:
        """All that is counted, as the predictors do where any of that is asked for."""
        costs = self.asked.searched.cost(batch)
        return {name: column.astype(float) for name, column in {**costs, "latency_ms": costs["macs"]}.items()}

    def __call__(self, architectures: Sequence[Architecture]) -> list[dict[str, float]]:
        batch = self.asked.searched.batch(list(architectures))
        columns = {**self.ahead(batch, []), "quality": self.accuracy.predict(batch)[0]}
        return [{name: float(column[i]) for name, column in columns.items()} for i in range(len(batch))]

    def results(self) -> list[Result]:
        """Of a search that drew at random."""
        drawn = list(dict.fromkeys(self.drawn))
        return [Result(i, a, v) for i, (a, v) in enumerate(zip(drawn, self(drawn), strict=True))]

    def around(self, seed: int = 0) -> Around:
        """What is tested."""
        return Around(cast(Verifier, self), self.results(), seed)


LIMIT = {"latency_ms": float(np.quantile([v["latency_ms"] for v in World()(DRAWN)], 0.5))}


@settings(max_examples=5, deadline=None)
@given(st.floats(0.1, 1.0), st.integers(0, 1000))
def test_candidates_keep_the_limits_and_few_are_checked(share: float, seed: int) -> None:
    world = World()
    limits = {"latency_ms": float(np.quantile([v["latency_ms"] for v in world(DRAWN)], share))}
    look = world.around(seed)
    found = look(limits)
    assert found
    assert all(r.values["latency_ms"] <= limits["latency_ms"] for r in found)
    assert len(world.checked) <= MOST
    keys = [r.architecture.key for r in found]
    assert len(set(keys)) == len(keys)
    before = len(world.checked)
    look({"latency_ms": 0.9 * limits["latency_ms"]})
    assert len(world.checked) <= before + MORE * EACH


def test_limits_below_all_that_the_search_found_are_reached_too() -> None:
    """Measurements may show that predictions were too good: what the search found is then too large."""
    world = World()
    limit = float(np.quantile([v["latency_ms"] for v in world(DRAWN)], 0.1))
    large = [r for r in world.results() if r.values["latency_ms"] > limit]
    found = Around(cast(Verifier, world), large, 0)({"latency_ms": limit})
    assert len(found) >= EACH
    assert all(r.values["latency_ms"] <= limit for r in found)


def test_it_finds_better_ones_than_the_search_had() -> None:
    world = World()

    def best(networks: Sequence[Architecture]) -> float:
        ms = [v["latency_ms"] for v in world(networks)]
        return max(truth(a).accuracy for a, t in zip(networks, ms, strict=True) if t <= LIMIT["latency_ms"])

    searched, found = best(DRAWN), best([r.architecture for r in world.around()(LIMIT)])
    most = best([SPACE.at(i) for i in range(0, SPACE.size, max(1, SPACE.size // 3000))])
    assert found > searched + 0.7 * (most - searched)


def test_the_same_seed_finds_the_same() -> None:
    first, again = ([r.architecture.key for r in World().around()(LIMIT)] for _ in range(2))
    assert first == again


@pytest.mark.parametrize("name", ["parameters", "size_bytes"])
def test_any_cost_may_be_limited(name: str) -> None:
    world = World()
    limit = float(np.quantile([v[name] for v in world(DRAWN)], 0.5))
    found = world.around()({name: limit, **LIMIT})
    assert len(world.checked) > OF_SEARCH * EACH
    assert all(v[name] <= limit for v in world([r.architecture for r in found]))


def test_a_space_of_two_choices_is_looked_at_too() -> None:
    """No two of its networks differ in three choices: a round takes what there is."""
    space = convnet("[{depth: 1, width: {choice: [4, 8, 12, 16]}, kernel: {choice: [1, 3, 5]}}]")
    world = World(space=space)
    world.around()({})
    assert len(world.checked) == space.size


def test_without_limits_and_without_results() -> None:
    world = World()
    assert len(world.around()({})) >= OF_SEARCH * EACH
    assert Around(cast(Verifier, world), [], 0)({}) == []
    assert world.around()({"latency_ms": 0.0}) == []


def test_nothing_is_learned_of_what_has_no_finite_loss() -> None:
    """It is a candidate all the same: whoever chooses sees its quality."""
    keys = [r.architecture.key for r in World().around()(LIMIT)]
    found = World(bad=keys).around()(LIMIT)
    assert found
    assert any(r.architecture.key in keys for r in found)


@pytest.mark.parametrize("taught", [1, 60])
def test_predictors_of_any_number_of_examples_serve(taught: int) -> None:
    assert World(taught).around()(LIMIT)
