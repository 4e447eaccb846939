"""SpaceEvo's hyperspaces and their notation."""

from __future__ import annotations

import re

import pytest

import spaces
from spaces.notations import WrongNotation
from spaces.randomness import generator


@pytest.mark.parametrize(
    ("name", "size"),
    [("spaceevo_mobile", 2 * 6 * 6 * 7 * 5 * 4 * 7**6), ("spaceevo_server", 2 * 4**5 * 6**6)],
)
def test_sizes_are_the_published_products(name: str, size: int) -> None:
    """Windows of each stage times kinds of block in each stage; and every drawn one is written and read back."""
    space = spaces.load(name)
    assert space.size == size
    for a in space.sample_many(50, generator(0, "test")):
        assert space.parse(space.format(a)) == a


@pytest.mark.parametrize(
    ("name", "winner"),
    [("spaceevo_mobile", "mobilew-122222-155400"), ("spaceevo_server", "onnxw-151122-023231")],
)
def test_the_published_winners_are_read(name: str, winner: str) -> None:
    """With the name of their platform before, as they were published."""
    space = spaces.load(name)
    found = space.parse(winner)
    assert found["stages.1.block"] == "mbv2"
    assert space.format(found) == winner.partition("-")[2]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("12222-155400", "'12222-155400': expected six digits, '-' and six digits, like 122222-155400 [syntax]"),
        ("122222-255400", "'122222-255400': window 2 of stage 1: it has 0 to 1 [out-of-range]"),
        ("182222-055400", "'182222-055400': block 8 of stage 2: it has 0 to 6 [out-of-range]"),
    ],
)
def test_what_is_wrong_is_said(text: str, message: str) -> None:
    """With the place."""
    with pytest.raises(WrongNotation, match=rf"\A{re.escape(message)}\Z"):
        spaces.load("spaceevo_mobile").parse(text)
