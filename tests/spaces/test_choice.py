"""Choices and conditions: typed values, and what is refused."""

from __future__ import annotations

import pytest

from spaces import Choice, Condition, Space
from spaces.choice import allowed_codes, same
from tests.examples import NO_LAYERS, VALUES


def test_values_are_equal_only_if_their_types_are() -> None:
    """8, 8.0 and "8", or 1, 1.0 and true, are different values."""
    for i, a in enumerate(VALUES):
        for j, b in enumerate(VALUES):
            assert same(a, b) == (i == j), (a, b)
    assert Choice("c", VALUES).values == VALUES
    assert [Choice("c", VALUES).code(v) for v in VALUES] == list(range(len(VALUES)))


@pytest.mark.parametrize(
    ("values", "message"),
    [((), r"^choice c has no values$"), ((1, 2, 1), r"^choice c has a value twice: \[1, 2, 1\]$")],
)
def test_a_choice_needs_distinct_values(values: tuple[int, ...], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Choice("c", values)


def test_an_unknown_value_is_refused_with_the_known_ones() -> None:
    message = r"^c: 8\.0 is not a value of this choice; values: \[8, 16\]$"
    with pytest.raises(ValueError, match=message):
        Choice("c", (8, 16)).code(8.0)


@pytest.mark.parametrize(
    ("values", "ordered"),
    [((1, 2, 3), True), ((1, 2.5), True), ((3, 1), False), (("a", "b"), False), ((False, True), False), ((7,), True)],
)
def test_only_ascending_numbers_are_ordered(values: tuple[int, ...], ordered: bool) -> None:
    assert Choice("c", values).ordered is ordered


def test_a_condition_needs_an_earlier_choice_and_its_values() -> None:
    a, b = Choice("a", (1, 2)), Choice("b", (1, 2), (Condition("a", (2,)),))
    assert allowed_codes(a, []) == {}
    assert allowed_codes(b, [a]) == {0: {1}}
    assert str(b.when[0]) == "a in [2]"
    with pytest.raises(ValueError, match=r"^choice b depends on a, which is not an earlier choice$"):
        Space("s", (b, a), NO_LAYERS)
    with pytest.raises(ValueError, match=r"^a: 3 is not a value of this choice; values: \[1, 2\]$"):
        Space("s", (a, Choice("b", (1, 2), (Condition("a", (3,)),))), NO_LAYERS)
    with pytest.raises(ValueError, match=r"^choice b depends on b, which is not an earlier choice$"):
        Space("s", (Choice("b", (1, 2), (Condition("b", (1,)),)),), NO_LAYERS)


def test_two_choices_of_one_name_are_refused() -> None:
    choices = (Choice("a", (1, 2)), Choice("b", (1,)), Choice("a", (3, 4)))
    with pytest.raises(ValueError, match=r"^two choices have one name: \['a'\]$"):
        Space("s", choices, NO_LAYERS)
