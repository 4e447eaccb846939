"""Every strategy of the registry keeps the contract, and one that learns finds more than one that does not."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from nas.pareto import front
from nas.strategies import STRATEGIES, Result, Strategy, strategy
from nas.testing.strategies import OBJECTIVES, StrategyContract, example, live, score
from spaces import Space
from tests.examples import space_of

SLOW = ("optuna:gp", "optuna:tpe")


def made(name: str, space: Space, seed: int, budget: Mapping[str, float] | None = None) -> Strategy:
    """A fresh strategy by its name."""
    return strategy(name, space, OBJECTIVES, {"latency_ms": 3.0} if budget is None else budget, seed)


class TestRandom(StrategyContract):
    """``random``."""

    strategy = "random"


class TestLowDiscrepancy(StrategyContract):
    """``low_discrepancy``."""

    strategy = "low_discrepancy"


class TestLocalSearch(StrategyContract):
    """``local_search``."""

    strategy = "local_search"


class TestRegularizedEvolution(StrategyContract):
    """``regularized_evolution``."""

    strategy = "regularized_evolution"


class TestNsga2(StrategyContract):
    """``nsga2``."""

    strategy = "nsga2"


class TestPredictorGuided(StrategyContract):
    """``predictor_guided``."""

    strategy = "predictor_guided"


class TestMcts(StrategyContract):
    """``mcts``."""

    strategy = "mcts"


class TestSmbo(StrategyContract):
    """``smbo``."""

    strategy = "smbo"


class TestSuccessiveNarrowing(StrategyContract):
    """``successive_narrowing``."""

    strategy = "successive_narrowing"


class TestOptunaNsga2(StrategyContract):
    """``optuna:nsga2``."""

    strategy = "optuna:nsga2"
    repeats = True


class TestOptunaNsga3(StrategyContract):
    """``optuna:nsga3``."""

    strategy = "optuna:nsga3"
    repeats = True


class TestOptunaCmaes(StrategyContract):
    """``optuna:cmaes``."""

    strategy = "optuna:cmaes"
    repeats = True

    def test_a_space_of_one_network_is_searched_in_no_time(self) -> None:
        """It has no ordered choice: refused, as the search would silently be random."""
        only = space_of("model: {family: convnet, stages: [{width: 4}]}")
        with pytest.raises(
            ValueError, match=r"^optuna:cmaes needs a choice of ordered numbers; .* \[no-ordered-choice\]$"
        ):
            self.make(only)


class TestOptunaQmc(StrategyContract):
    """``optuna:qmc``."""

    strategy = "optuna:qmc"
    repeats = True


def test_every_strategy_is_checked() -> None:
    """A new name in the registry needs two lines here."""
    assert {c.strategy for c in StrategyContract.__subclasses__() if isinstance(c.strategy, str)} == set(
        STRATEGIES
    ) - set(SLOW)


@pytest.mark.parametrize("name", SLOW)
def test_the_slow_ones_propose_too(name: str) -> None:
    """They take up to a second per proposal: the whole contract would take ten minutes."""
    searcher = made(name, example(), 0)
    keys = live(searcher, 4, 4)
    assert len(set(keys)) > 12
    assert keys == live(made(name, example(), 0), 4, 4)
    assert all(example().architecture(dict(a)) == a for a in searcher.ask(4))


def test_an_unknown_name_is_refused() -> None:
    """Files are checked before; this is for callers."""
    with pytest.raises(KeyError, match="simulated-annealing"):
        made("simulated-annealing", example(), 0)


def best(name: str, seed: int, trials: int, limit: float) -> float:
    """The highest quality within a latency after so many trials in the made-up world."""
    searcher = made(name, example(), seed, {"latency_ms": limit})
    found = -1.0
    for start in range(0, trials, 50):
        proposals = searcher.ask(50)
        searcher.tell([Result(start + i, a, score(a)) for i, a in enumerate(proposals)])
        kept = [score(a)["quality"] for a in proposals if score(a)["latency_ms"] <= limit]
        found = max([found, *kept])
    return found


def test_nsga2_finds_more_within_a_budget_than_random_search() -> None:
    """Fixed seeds: better or as good with each, better in sum. Large networks all of integers are rare draws."""
    pairs = [(best("optuna:nsga2", seed, 500, 3.4), best("random", seed, 500, 3.4)) for seed in range(4)]
    assert all(learned >= drawn - 1e-9 for learned, drawn in pairs)
    assert sum(learned for learned, _ in pairs) > sum(drawn for _, drawn in pairs)


def test_a_random_proposal_depends_on_its_number_alone() -> None:
    """Not on what was told, so that the baseline of a run is the same at any budget."""
    deaf, told = made("random", example(), 0), made("random", example(), 0, {"latency_ms": 1e-3})
    told.tell([Result(i, a, score(a)) for i, a in enumerate(told.ask(30))])
    deaf.ask(30)
    assert deaf.ask(10) == told.ask(10)


def test_usable_results_are_the_ok_and_finite_ones() -> None:
    """Whatever else is in a result."""
    architecture = example().at(0)
    assert Result(0, architecture, {"quality": 1.0}).usable
    assert not Result(0, architecture, {"quality": 1.0}, "failed", "x").usable
    assert not Result(0, architecture, {"quality": 1.0, "latency_ms": float("nan")}).usable
    assert not Result(0, architecture, {"quality": float("-inf")}).usable


def test_the_front_of_a_search_is_made_of_its_results() -> None:
    """Sanity of the made-up world: it has a trade-off, or the tests above would show nothing."""
    import numpy as np

    values = [score(a) for a in example().sample_many(200, np.random.default_rng(0))]
    rows = np.array([[-v["quality"], v["latency_ms"]] for v in values])
    assert 2 < len(front(rows)) < 200
