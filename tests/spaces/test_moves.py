"""Moves stay inside the space, and do what they say, on random spaces of conditional choices."""

from __future__ import annotations

from collections import Counter
from itertools import islice

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

import spaces
from spaces import Architecture, Space
from spaces.choice import Choice, Condition
from spaces.moves import TooRare
from spaces.randomness import generator
from tests.examples import NO_LAYERS, forests

SMALL = forests().filter(lambda space: space.size <= 300)


def differ_in_one(a: Architecture, b: Architecture) -> bool:
    """Whether exactly one choice that both have differs, typed."""
    return sum(repr(a[name]) != repr(b[name]) for name in a if name in b) == 1


@given(space=SMALL, data=st.data())
def test_neighbours_are_all_that_differ_in_one_decision(space: Space, data: st.DataObject) -> None:
    """Against looking at every architecture; each comes once."""
    a = space.at(data.draw(st.integers(0, space.size - 1)))
    found = list(space.neighbours(a))
    assert len(found) == len(set(found))
    assert set(found) == {b for b in space.enumerate() if differ_in_one(a, b)}


@given(space=SMALL, seed=st.integers(0, 99))
def test_a_mutant_is_a_neighbour(space: Space, seed: int) -> None:
    """Or the same, where no decision is open."""
    rng = generator(seed, "test")
    a = space.sample(rng)
    b = space.mutate(a, rng)
    assert b in set(space.neighbours(a)) or (b == a and not list(space.neighbours(a)))


@given(space=forests(), seed=st.integers(0, 99))
def test_a_child_inherits_wherever_it_can(space: Space, seed: int) -> None:
    """It is an architecture, and of a choice that a parent has it takes a parent's value."""
    rng = generator(seed, "test")
    a, b = space.sample(rng), space.sample(rng)
    child = space.crossover(a, b, rng)
    assert space.architecture(child) == child
    for name, value in child.items():
        of_parents = [repr(p[name]) for p in (a, b) if name in p]
        assert not of_parents or repr(value) in of_parents
    assert space.crossover(a, a, rng) == a


def test_both_parents_are_heard() -> None:
    """Each choice comes from either parent as often."""
    space = Space("s", tuple(Choice(f"c{i}", (0, 1)) for i in range(4)), NO_LAYERS)
    a, b = space.at(0), space.at(15)
    rng = generator(0, "test")
    drawn = Counter(space.crossover(a, b, rng) for _ in range(1_600))
    assert len(drawn) == 16
    assert all(60 < count < 140 for count in drawn.values())


@given(space=forests(), points=st.integers(0, 40), seed=st.integers(0, 9))
@settings(max_examples=30)
def test_points_are_placed_inside(space: Space, points: int, seed: int) -> None:
    """Whatever the coordinates, also the largest below 1."""
    drawn = np.minimum(generator(seed, "test").random((points, len(space.choices))) * 1.2, np.nextafter(1, 0))
    for by_choice in (False, True):
        for a in space.place(drawn, by_choice):
            assert space.architecture(a) == a


def test_places_are_taken_by_share() -> None:
    """A grid over the unit interval meets each value as often as there are architectures below it."""
    when = (Condition("depth", (2, 3)),)
    choices = (
        Choice("depth", (1, 2, 3)),
        Choice("a", (0, 1, 2), when),
        Choice("b", (0, 1), (Condition("depth", (3,)),)),
    )
    space = Space("s", choices, NO_LAYERS)
    assert space.size == 1 + 3 + 6
    points = np.full((100, 3), 0.5)
    points[:, 0] = (np.arange(100) + 0.5) / 100
    assert Counter(a["depth"] for a in space.place(points)) == {1: 10, 2: 30, 3: 60}
    assert Counter(a["depth"] for a in space.place(points, by_choice=True)) == {1: 33, 2: 34, 3: 33}


@pytest.mark.parametrize("method", ["sobol", "halton", "latin"])
def test_spread_covers_every_value_more_evenly_than_drawing(method: str) -> None:
    """With ``by_choice``: 60 architectures hold each of 4 widths about 15 times."""
    space = spaces.load("digits")

    def unevenness(batch: spaces.Batch) -> float:
        counts = [np.bincount(batch.codes[:, i], minlength=len(space.choices[i].values)) for i in (0, 1)]
        return float(sum(c.std() for c in counts))

    even = np.mean([unevenness(space.spread(60, generator(s, "test"), method, by_choice=True)) for s in range(10)])  # type: ignore[arg-type]
    drawn = np.mean([unevenness(space.sample_many(60, generator(s, "test"), by_choice=True)) for s in range(10)])
    assert even < 0.6 * drawn
    again = [space.spread(9, generator(1, "test"), method).codes.tolist() for _ in range(2)]  # type: ignore[arg-type]
    assert again[0] == again[1]


def test_limits_are_kept_and_nothing_else_is_lost() -> None:
    """Uniform over what keeps them: the same distribution as striking out by hand."""
    space = spaces.load("digits")
    limit = 300_000
    found = space.sample_within(300, {"macs": limit}, generator(0, "test"))
    assert len(found) == 300
    assert space.cost(found)["macs"].max() <= limit
    batch = space.sample_many(20_000, generator(1, "test"))
    macs = space.cost(batch)["macs"]
    share = np.mean([a["stages.0.depth"] == 1 for a in found])
    wanted = np.mean([a["stages.0.depth"] == 1 for a in batch.take(np.flatnonzero(macs <= limit))])
    assert abs(share - wanted) < 0.15


def test_limits_that_nothing_keeps_are_refused_with_the_least() -> None:
    """After the stated number of draws, and not before."""
    space = spaces.load("digits")
    with pytest.raises(
        TooRare, match=r"^0 of 5000 drawn .* digits keep macs <= 5 \(the least drawn: \d+\) \[too-rare\]$"
    ):
        space.sample_within(1, {"macs": 5}, generator(0, "test"), most_draws=5_000)
    with pytest.raises(ValueError, match=r"^no counted cost 'mac'; counted: parameters, macs,"):
        space.sample_within(1, {"mac": 5}, generator(0, "test"))
    assert len(space.sample_within(0, {"macs": 5}, generator(0, "test"))) == 0


@given(space=forests())
def test_enumeration_and_neighbours_are_lazy(space: Space) -> None:
    """A first few cost nothing, however many there are."""
    assume(space.size > 1)
    assert len(list(islice(space.enumerate(), 2))) == 2
    list(islice(space.neighbours(space.at(0)), 2))
