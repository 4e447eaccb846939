"""A space in words and numbers."""

from __future__ import annotations

import pytest

import spaces
from spaces import from_text
from spaces.describe import costs, lines, power

TREE = """\
model:
  family: choices
  choices:
    stages:
      repeat: {choice: [2, 3]}
      of: {width: {range: [8, 64, 8]}, kernel: {choice: [3, 5]}, se: {choice: [true, false]}}
    head: {one_of: {pool: {}, conv: {width: {choice: [64, 128]}}}}
"""


def test_the_tree_joins_places_that_are_alike() -> None:
    """Ranges are written as ranges, numbers of places as from-to."""
    assert lines(from_text(TREE)) == [
        "stages: 2, 3",
        "  0-2",
        "    width: 8 to 64, step 8",
        "    kernel: 3, 5",
        "    se: true, false",
        "head: pool, conv",
        "  conv",
        "    width: 64, 128, where it is there",
    ]


@pytest.mark.parametrize(
    ("size", "text"), [(1, "10^0.0"), (9, "10^1.0"), (1000, "10^3.0"), (3_195_072, "10^6.5"), (7**400, "10^338.0")]
)
def test_a_size_is_a_power_of_ten(size: int, text: str) -> None:
    """However large."""
    assert power(size) == text


def test_limits_tell_whether_they_can_be_kept() -> None:
    """By a share of the drawn ones, by an extreme only, or by none."""
    space = spaces.load("digits")
    found = costs(space, {"macs": 1e6})
    assert found["macs"]["smallest"] < 1e6 < found["macs"]["median"] < found["macs"]["largest"]
    assert 0.1 < found["macs"]["share"] < 0.4
    assert found["macs"]["reachable"]
    smallest = found["parameters"]["smallest"]
    rare = costs(space, {"parameters": smallest})["parameters"]
    assert rare["reachable"]
    assert rare["share"] < 0.01
    assert not costs(space, {"parameters": smallest - 1})["parameters"]["reachable"]
    assert costs(space, {"parameters": 1e9, "macs": 1})["parameters"]["share"] == 0
    with pytest.raises(ValueError, match=r"^no counted cost 'mac'; counted: parameters, macs"):
        costs(space, {"mac": 1})


def test_a_tree_without_layers_costs_nothing() -> None:
    assert costs(from_text(TREE), {}) == {}
