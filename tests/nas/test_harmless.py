"""Do no harm: what is changed costs no more and is no worse, and nothing that could be changed so is left."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nas.evaluate import Quality
from nas.report import words
from nas.stages import harmless
from nas.stages.contract import choose, holds
from nas.stages.harmless import Judges, delivered, pass_over, repaired
from nas.stages.verifier import Verifier
from spaces import Architecture, Space
from spaces.load import from_text

SPACE = from_text("""
name: a
model:
  family: convnet
  input: [1, 8, 8]
  classes: 10
  stages: [{depth: {choice: [1, 2]}, width: {choice: [4, 8]}}, {depth: 1, width: 8, stride: 2}]
precision: {choice: [float, w8a8, w4a8]}
""")
BITS = {"float": 32, "w8a8": 8, "w4a8": 4}
PRECISIONS = sorted(SPACE.outline.precision_choices)


class World:
    """Made-up costs and qualities: of each layer, by its precision, and added."""

    def __init__(self, seed: int) -> None:
        rng = np.random.default_rng(seed)
        self.ms, self.size, self.good = (
            {(name, value): float(rng.integers(0, 3)) for name in PRECISIONS for value in ("float", "w8a8", "w4a8")}
            for _ in range(3)
        )

    def predict(self, architectures: Sequence[Architecture]) -> list[dict[str, float]]:
        """Latency and size."""
        return [{"latency_ms": self.sum(self.ms, a), "size_bytes": self.sum(self.size, a)} for a in architectures]

    def quality(self, architecture: Architecture) -> Quality:
        """Whole points, and a likelihood that tells them apart no further."""
        good = self.sum(self.good, architecture)
        return Quality(good, good)

    def sum(self, table: dict[tuple[str, str], float], architecture: Architecture) -> float:
        """Over the layers that are there."""
        return sum(table[name, str(architecture[name])] for name in PRECISIONS if name in architecture)

    def judges(self, *costs: str, **limits: float) -> Judges:
        """That know this world."""
        return Judges(self.predict, self.quality, costs, limits)


def precision_names(space: Space, architecture: Architecture) -> list[str]:
    """Choices of precision that are there."""
    return [name for name in PRECISIONS if name in architecture]


@settings(deadline=None, max_examples=60)
@given(seed=st.integers(0, 10_000), start=st.integers(0, SPACE.size - 1), with_size=st.booleans())
def test_nothing_gets_worse_and_nothing_that_could_be_better_is_left(seed: int, start: int, with_size: bool) -> None:
    """Of every cost that was asked for; only precisions change, and the changes lead from one network to the other."""
    world, before = World(seed), SPACE.at(start)
    costs = ["latency_ms", *(["size_bytes"] if with_size else [])]
    judges = world.judges(*costs)
    after, changes = repaired(SPACE, before, judges)
    (was, now), (old, new) = world.predict([before, after]), (world.quality(before), world.quality(after))
    assert all(now[name] <= was[name] for name in costs)
    assert new.accuracy >= old.accuracy
    assert bool(changes) == (after.key != before.key)
    values = dict(before)
    for change in changes:
        assert values[change.choice] == change.before
        values[change.choice] = change.after
    assert SPACE.architecture(values).key == after.key
    for name in precision_names(SPACE, after):
        for value in ("float", "w8a8", "w4a8"):
            other = SPACE.architecture({**after, name: value})
            (costs_of,), quality = world.predict([other]), world.quality(other)
            free = all(costs_of[cost] <= now[cost] for cost in costs) and quality.accuracy >= new.accuracy
            gain = any(costs_of[cost] < now[cost] for cost in costs) or quality.accuracy > new.accuracy
            better = costs_of["latency_ms"] < now["latency_ms"] or BITS[value] > BITS[str(after[name])]
            assert not (free and gain and better)


def test_a_limit_stays_kept() -> None:
    """Also one on what is no objective."""
    for seed in range(40):
        world = World(seed)
        before = SPACE.extreme(max, "w4a8")
        limit = world.predict([before])[0]["size_bytes"]
        after, _ = repaired(SPACE, before, world.judges("latency_ms", size_bytes=limit))
        assert world.predict([after])[0]["size_bytes"] <= limit


def test_subnets_are_evaluated_a_few_times_only(monkeypatch: pytest.MonkeyPatch) -> None:
    """However many changes there are to try."""
    monkeypatch.setattr(harmless, "JUDGED", 2)
    asked: list[str] = []
    judges = Judges(
        lambda found: [{"latency_ms": 1.0} for _ in found],
        lambda a: (asked.append(a.key), Quality(50.0, -1.0))[1],
        ["latency_ms"], {},
    )  # fmt: skip
    before = SPACE.extreme(max, "w4a8")
    after, changes = repaired(SPACE, before, judges)
    assert (after.key, changes) == (before.key, [])
    assert len(asked) == 1 + 2


class Device:
    """Stands for the verifier: networks of this world take ``slower`` times what is predicted."""

    def __init__(self, world: World, slower: float, proof: bool = True) -> None:
        self.world, self.slower, self.proof = world, slower, proof
        self.predict, self.quality = world.predict, world.quality
        search = type("Search", (), {"objectives": ("quality", "latency_ms")})
        self.asked = type("Asked", (), {"searched": SPACE, "search": search})

    def row(self, architecture: Architecture, slower: float = 1.0) -> dict[str, Any]:
        """As measured."""
        ms = (1 + self.world.predict([architecture])[0]["latency_ms"]) * slower
        latency = {"predicted": ms, "measured": ms, "measured_upper": ms}
        return {"key": architecture.key, "architecture": dict(architecture), "latency_ms": latency, "size_bytes": 0}

    def verify(self, architectures: Sequence[Architecture]) -> list[dict[str, Any]]:
        """Rows, if there is a proof."""
        return [self.row(a, self.slower) for a in architectures] if self.proof else []

    def confirm(self, rows: Sequence[Any]) -> None:
        """Nothing changes."""


@pytest.mark.parametrize(("slower", "proof", "kept"), [(1.0, True, True), (9.0, True, False), (1.0, False, False)])
def test_what_measures_slower_or_has_no_proof_is_not_kept(slower: float, proof: bool, kept: bool) -> None:
    """What was tried is told either way."""
    world = World(1)
    device = Device(world, slower, proof)
    quantized = SPACE.extreme(max, "w4a8")
    chosen = device.row(quantized)
    row, said = pass_over(cast(Verifier, device), chosen, {"latency_ms": 100.0})
    assert said["of"] == quantized.key
    assert said["kept"] is kept
    assert said["changes"]
    assert (row is chosen) is not kept
    (told,) = words.harm({"do_no_harm": said})
    first = said["changes"][0]
    assert f"do no harm: of {quantized.key} {first['choice']} from {first['from']} to {first['to']}" in told
    assert told.endswith("; measured slower, and not kept") is not kept


def test_a_network_without_harm_is_left_alone() -> None:
    """Nothing is measured again."""
    world = World(1)
    after, _ = repaired(SPACE, SPACE.extreme(max, "w4a8"), world.judges("latency_ms"))
    device = Device(world, 1.0)
    chosen = device.row(after)
    row, said = pass_over(cast(Verifier, device), chosen, {"latency_ms": 100.0})
    assert row is chosen
    assert said == {"of": after.key, "changes": [], "kept": False}
    assert words.harm({"do_no_harm": said}) == []


class Refuting(Device):
    """Whatever it measures again takes twice as long."""

    def row(self, architecture: Architecture, slower: float = 1.0) -> dict[str, Any]:
        """With what networks are compared by: the slower the better."""
        made = super().row(architecture, slower)
        ms = made["latency_ms"]["measured"]
        return {**made, "score": ms, "quality": {"supernet": ms}}

    def confirm(self, rows: Sequence[Any]) -> None:
        for row in rows:
            row["latency_ms"] = {**row["latency_ms"], "measured_upper": 2 * row["latency_ms"]["measured"]}


def test_what_the_pass_itself_refutes_is_not_delivered() -> None:
    """The chosen network is measured once more beside what its changes make of it: the next best takes its place."""
    world = World(1)
    device = cast(Verifier, Refuting(world, 9.0))
    harmed = SPACE.extreme(max, "w4a8")
    left_alone, _ = repaired(SPACE, SPACE.extreme(min, "w4a8"), world.judges("latency_ms"))
    first, second = Refuting(world, 1.0).row(harmed), Refuting(world, 1.0).row(left_alone, 0.01)
    budget = {"latency_ms": first["latency_ms"]["measured"]}
    assert choose([first, second], budget) is first
    row, said = delivered(device, [first, second], budget)
    assert row is second
    assert said == {"of": left_alone.key, "changes": [], "kept": False}
    assert not holds(first, budget)
    assert delivered(device, [first], budget) == (None, None)
