"""A strategy made by the README's recipe keeps the contract; no file of ours knows of it."""

from __future__ import annotations

import re
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import nas
from nas.experiment import load
from nas.plugins import NotAllowed
from nas.strategies import Result, Searcher, strategy
from nas.testing.strategies import OBJECTIVES, StrategyContract, example, score
from spaces import moves
from spaces.yaml import SpecError
from tests.nas.tiny import TINY


class HillClimber(Searcher):
    """Children of the best so far."""

    name = "hill_climber"
    best: Result | None = None

    def candidates(self, rng: np.random.Generator) -> Any:
        """The first are drawn."""
        if self.best is None:
            return self.space.sample_many(8, rng).codes
        return moves.mutants(self.space, self.codes(self.best), 8, rng)

    def learn(self, results: Sequence[Result]) -> None:
        """What is new and better."""
        self.best = max([*([self.best] if self.best else []), *results], key=self.merit)


class TestHillClimber(StrategyContract):
    """Two lines."""

    strategy = HillClimber


def test_it_climbs() -> None:
    """The contract's made-up world has wide networks for good."""
    climber, found = HillClimber(example(), OBJECTIVES, {}, 0), -1.0
    for trial in range(200):
        asked = climber.ask(1)
        climber.tell([Result(trial, asked[0], score(asked[0]))])
        found = max(found, score(asked[0])["quality"])
    assert found >= max(score(a)["quality"] for a in example().sample_many(2_000, np.random.default_rng(0)))


CODE = """\
from nas.strategies import Searcher


class Draws(Searcher):
    name = "draws"

    def candidates(self, rng):
        return self.space.sample_many(4, rng).codes
"""


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A space whose search names a class of a module beside it."""
    (tmp_path / "strategies_of_mine.py").write_text(CODE, encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "strategies_of_mine", raising=False)
    text = TINY.replace("search: {", 'search: {entry: "strategies_of_mine:Draws", baselines: false, ')
    (tmp_path / "tiny.yaml").write_text(text, encoding="utf-8")
    return tmp_path / "tiny.yaml"


def test_a_search_runs_a_strategy_of_ones_own(file: Path, runs: Path) -> None:
    """From its file, with its package allowed; the run records what it was. Nothing else is searched beside it."""
    found = nas.search(file, runs=runs, plugins=["strategies_of_mine"]).result()
    assert found["settings"]["search"]["strategy"] == "strategies_of_mine:Draws"
    assert len(found["trials"]) == 60
    assert found["baselines"] == []


def test_code_that_was_not_allowed_does_not_run(file: Path) -> None:
    """Reading the file says so, and so does whoever makes the strategy."""
    said = re.escape("'strategies_of_mine:Draws' is code of the package 'strategies_of_mine'; no package is allowed")
    with pytest.raises(SpecError, match=rf"tiny.yaml:\d+:\d+: {said}"):
        load(file, [])
    with pytest.raises(NotAllowed, match=said):
        strategy("strategies_of_mine:Draws", example(), OBJECTIVES, {}, 0)
    assert "strategies_of_mine" not in sys.modules


def test_a_strategy_and_an_entry_are_one_too_many(file: Path) -> None:
    """At the place of the entry."""
    file.write_text(file.read_text().replace("search: {", "search: {strategy: random, "), encoding="utf-8")
    with pytest.raises(SpecError, match=r"search has a strategy or an entry, not both \[ambiguous\]"):
        load(file, ["strategies_of_mine"])
