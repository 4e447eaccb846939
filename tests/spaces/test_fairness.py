"""Fair draws: every value of every choice equally often, or a message that says why not."""

from __future__ import annotations

import math
import re
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spaces import Choice, Condition, Space
from spaces.fairness import NotFair, draws_needed, fair_draws
from spaces.randomness import generator
from tests.examples import NO_LAYERS


@given(sizes=st.lists(st.sampled_from([1, 2, 3, 4, 6]), max_size=6), seed=st.integers(0, 100))
def test_every_value_comes_equally_often(sizes: list[int], seed: int) -> None:
    space = Space("flat", tuple(Choice(f"c{i}", tuple(range(k))) for i, k in enumerate(sizes)), NO_LAYERS)
    drawn = fair_draws(space, generator(seed, "test"))
    assert len(drawn) == draws_needed(space) == math.lcm(*sizes)
    for choice in space.choices:
        counts = Counter(space.architecture(a)[choice.name] for a in drawn)
        assert counts == dict.fromkeys(choice.values, len(drawn) // len(choice.values))
    again = fair_draws(space, generator(seed, "test"))
    assert list(again) == list(drawn)


def test_values_of_different_choices_are_paired_at_random() -> None:
    space = Space("flat", tuple(Choice(f"c{i}", (0, 1, 2)) for i in range(2)), NO_LAYERS)
    pairs = {(a["c0"], a["c1"]) for seed in range(40) for a in fair_draws(space, generator(seed, "test"))}
    assert len(pairs) == 9


@pytest.mark.parametrize(
    ("choices", "message"),
    [
        (
            (Choice("depth", (1, 2)), Choice("kernel", (3, 5), (Condition("depth", (2,)),))),
            "choice kernel is there only where depth in [2]: its values cannot come equally",
        ),
        (
            (Choice("a", tuple(range(5))), Choice("b", tuple(range(7)))),
            "choices of [5, 7] values come equally often in 35 networks, at most 24 train",
        ),
    ],
)
def test_what_cannot_be_fair_is_refused(choices: tuple[Choice, ...], message: str) -> None:
    with pytest.raises(NotFair, match=rf"\A{re.escape(message)}\Z"):
        draws_needed(Space("unfair", choices, NO_LAYERS))
