"""What a resumed verifier is asked again is answered from the ledger, whatever else stands there."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from nas.deliver import ProofFailed
from nas.evaluate import Quality
from nas.stages import verifier as module
from nas.stages.verifier import Verifier
from nas.strategies import Result
from nas.testing.strategies import example
from nas.verify import Measurements, Round
from predictors.accuracy import fit
from spaces import Architecture

SPACE = example()
ARCHITECTURES = [SPACE.at(i) for i in range(8)]


class Ledger:
    """Records in memory."""

    def __init__(self) -> None:
        self.records: list[dict[str, Any]] = []

    def of(self, kind: str) -> list[dict[str, Any]]:
        """All of a kind."""
        return [r for r in self.records if r["kind"] == kind]

    def append(self, kind: str, **fields: Any) -> dict[str, Any]:
        """One more."""
        assert all(math.isfinite(v) for v in fields.values() if isinstance(v, float))
        self.records.append({"kind": kind, **fields})
        return self.records[-1]


class World:
    """Makes verifiers of one run, and counts what they work on."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, bad: str = "") -> None:
        self.ledger, self.worked, self.bad = Ledger(), [], bad  # type: ignore[var-annotated]
        quality = [Quality(50.0 + i, -1.0 + i / 10) for i in range(8)]
        self.qualities = dict(zip([a.key for a in ARCHITECTURES], quality, strict=True))
        accuracy = fit(SPACE, ARCHITECTURES, np.linspace(-1, -0.3, 8), np.linspace(50, 57, 8))
        self.predict: Any = SimpleNamespace(accuracy=accuracy, latency=SimpleNamespace(table=None))
        anchors = SimpleNamespace(guard=1.0)
        monkeypatch.setattr(module, "Anchors", SimpleNamespace(of=lambda *_: anchors))
        monkeypatch.setattr(module, "measured", self.measured)
        monkeypatch.setattr(module, "deliver", self.deliver)

    def measured(self, models: Mapping[str, bytes], *_: object) -> Round:
        """Takes longer each time."""
        self.worked.append("measurement")
        return Round({key: [1.0 + len(self.worked)] * 3 for key in models}, [1.0] * 3, [0.0] * 3)

    def deliver(self, asked: object, evaluate: object, architecture: Architecture, folder: object) -> Any:
        self.worked.append("export")
        raise ProofFailed("codes differ")

    def evaluate(self, architecture: Architecture) -> Quality:
        self.worked.append("check")
        return Quality(0.0, math.nan) if architecture.key == self.bad else self.qualities[architecture.key]

    def verifier(self) -> Verifier:
        """As a process that begins, or goes on, makes it."""
        device = SimpleNamespace(target=lambda: None)
        asked: Any = SimpleNamespace(searched=SPACE, space=SPACE, device=device)
        run: Any = SimpleNamespace(ledger=self.ledger, folder=Path())
        made = Verifier(asked, run, self.evaluate, self.predict, lambda *_: None, lambda _: None)  # type: ignore[arg-type]
        made._model = lambda key: b""  # type: ignore[method-assign]
        return made


def results() -> list[Result]:
    """Of a search, the best last."""
    return [Result(i, a, {"quality": i / 10, "latency_ms": 1.0}) for i, a in enumerate(ARCHITECTURES)]


def test_checks_are_not_repeated_and_known_is_what_was_asked_for_since(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World(monkeypatch)
    first = world.verifier()
    best = [r.architecture.key for r in first.best(results()[:4], 2)]
    assert best == [ARCHITECTURES[3].key, ARCHITECTURES[2].key]
    first.best(results(), 2)
    assert world.worked == ["check"] * 8
    again = world.verifier()
    assert [r.architecture.key for r in again.best(results()[:4], 2)] == best
    assert world.worked == ["check"] * 8
    monkeypatch.setattr(module, "CHECKED", 4)
    assert len(again.best(results(), 8)) == 4  # the four that this process asked for


def test_a_network_without_a_finite_loss_is_no_finalist(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World(monkeypatch, bad=ARCHITECTURES[7].key)
    found = [r.architecture.key for r in world.verifier().best(results(), 8)]
    assert found == [a.key for a in ARCHITECTURES[6::-1]]
    assert len(world.ledger.of("check")) == 7  # the ledger holds finite numbers


def test_a_refusal_is_known_when_its_network_is_asked_for_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """Not before: the run that stopped did not know it either when it chose."""
    world = World(monkeypatch)
    world.verifier()
    world.ledger.append("refused", key=ARCHITECTURES[0].key, reason="codes differ")
    again = world.verifier()
    assert again.refused == {}
    assert again.verify([ARCHITECTURES[0]]) == []
    assert again.refused == {ARCHITECTURES[0].key: "codes differ"}
    assert world.worked == []


def test_measurements_that_nobody_asks_for_any_more_are_passed_over(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a run that an older version began: what it asked for besides is measured once, not at every resumption."""
    world = World(monkeypatch)
    world.ledger.append("measurement", sessions_ms={"old": [1.0] * 3}, levels=[1.0] * 3)
    for _ in range(3):
        made = world.verifier()
        for _ in range(2):
            made._measure(["a", "b"])
        assert made._times.upper_ms("a") == 3.0
    assert world.worked == ["measurement"] * 2


def test_measurements_of_a_run_that_stopped_are_answered_in_order(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World(monkeypatch)
    for keys in (["a"], ["a", "b"], ["a"]):
        world.ledger.append("measurement", sessions_ms={k: [float(len(keys))] * 3 for k in keys}, levels=[1.0] * 3)
    made = world.verifier()
    assert isinstance(made._times, Measurements)
    for keys in (["a"], ["a", "b"], ["a"], ["c"]):
        made._measure(keys)
    assert world.worked == ["measurement"]
