"""Architectures: typed and canonical keys, JSON, and exact refusal of what does not belong."""

from __future__ import annotations

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import spaces
from spaces import Architecture, Choice, Condition, Space, Value
from spaces.randomness import generator
from tests.examples import NO_LAYERS, VALUES, forests

DIGITS = spaces.load("digits")
SMALL = Space(
    "small",
    (
        Choice("depth", (1, 2, 3)),
        Choice("kernel", (3, 5), (Condition("depth", (2, 3)),)),
        Choice("tail", ("a", "b"), (Condition("kernel", (5,)),)),
        Choice("rate", (0.5, 1)),
        Choice("skip", (False, True)),
    ),
    NO_LAYERS,
)
ABSENT_TAIL = "choice tail is absent here: it needs kernel in [5]"


@pytest.mark.parametrize(
    ("changes", "problems"),
    [
        ({"rate": None}, ["choice rate is missing; values: [0.5, 1]"]),
        ({"depth": 1}, ["choice kernel is absent here: it needs depth in [2, 3]"]),
        ({"tail": "a"}, [ABSENT_TAIL]),
        ({"kernel": 5}, ["choice tail is missing; values: ['a', 'b']"]),
        ({"width": 8}, ["unknown choice 'width'"]),
        ({"kernel": 4}, ["kernel: 4 is not a value of this choice; values: [3, 5]"]),
        ({"kernel": 3.0}, ["kernel: 3.0 is not a value of this choice; values: [3, 5]"]),
        ({"kernel": "3"}, ["kernel: '3' is not a value of this choice; values: [3, 5]"]),
        ({"rate": 1.0}, ["rate: 1.0 is not a value of this choice; values: [0.5, 1]"]),
        ({"rate": True}, ["rate: True is not a value of this choice; values: [0.5, 1]"]),
        ({"skip": 0}, ["skip: 0 is not a value of this choice; values: [False, True]"]),
        (
            {"width": 8, "tail": "a", "skip": "no", "rate": None},
            [
                "unknown choice 'width'",
                ABSENT_TAIL,
                "choice rate is missing; values: [0.5, 1]",
                "skip: 'no' is not a value of this choice; values: [False, True]",
            ],
        ),
        # What stands below a choice that is itself wrong may belong there or not: no second complaint about it.
        ({"depth": 9, "tail": "a"}, ["depth: 9 is not a value of this choice; values: [1, 2, 3]"]),
        ({"depth": None}, ["choice depth is missing; values: [1, 2, 3]"]),
    ],
)
def test_what_does_not_belong_is_refused_all_at_once(changes: dict[str, Value | None], problems: list[str]) -> None:
    values: dict[str, Value | None] = {"depth": 2, "kernel": 3, "rate": 0.5, "skip": True, **changes}
    wrong = {name: value for name, value in values.items() if value is not None}
    message = rf"^{re.escape('not an architecture of space small: ' + '; '.join(problems))}$"
    with pytest.raises(ValueError, match=message):
        SMALL.architecture(wrong)
    with pytest.raises(ValueError, match=message):
        SMALL.batch([Architecture(wrong)])


RECORDED: list[tuple[dict[str, Value], str]] = [
    ({}, "44136fa355b3678a"),
    ({"width": 8}, "a5fa3de31f44ae1f"),
    ({"width": 8.0}, "5cb0f75a4850aa96"),
    ({"width": "8"}, "3e98b5c073576574"),
    ({"width": True}, "9b795fda530156a4"),
    ({"width": 1}, "ca52e809cdde8bde"),
    ({"stages.0.depth": 2, "rate": 0.1, "größe": "ß\n", "skip": False}, "9849c458085cd18c"),
]


@pytest.mark.parametrize(("values", "key"), RECORDED)
def test_keys_never_change(values: dict[str, Value], key: str) -> None:
    """Recorded: runs, stores and exports of earlier versions are found by these."""
    assert Architecture(values).key == key


def test_keys_of_the_zoo_never_change() -> None:
    assert DIGITS.largest.key == "842ac561412fdd60"
    assert DIGITS.at(1_234_567).key == "b8fad8c977675483"
    assert DIGITS.digest == "80b340d7518854f1"


def test_keys_are_canonical_and_typed() -> None:
    """The order of the names does not matter, the type of a value does."""
    assert Architecture({"a": 1, "b": 2}) == Architecture({"b": 2, "a": 1})
    assert len({Architecture({"a": value}) for value in VALUES}) == len(VALUES)
    assert Architecture({"a": 1}) != {"a": 1}
    assert SMALL.architecture({"skip": True, "rate": 1, "depth": 1}).to_json() == '{"depth":1,"rate":1,"skip":true}'


def test_an_architecture_does_not_change_with_the_dict_it_came_from() -> None:
    values: dict[str, Value] = {"a": 1}
    architecture = Architecture(values)
    values["a"] = 2
    assert dict(architecture) == {"a": 1}
    assert repr(architecture) == f"Architecture({architecture.key}, {{'a': 1}})"


@settings(deadline=None)
@given(st.dictionaries(st.text(), st.one_of(st.booleans(), st.integers(), st.floats(allow_nan=False), st.text())))
def test_json_keeps_every_value_and_its_type(values: dict[str, Value]) -> None:
    if float("inf") in [abs(v) for v in values.values() if isinstance(v, float)]:
        with pytest.raises(ValueError, match="Out of range float values are not JSON compliant"):
            Architecture(values).to_json()
        return
    read = Architecture.from_json(Architecture(values).to_json())
    assert read == Architecture(values)
    assert {n: repr(v) for n, v in read.items()} == {n: repr(v) for n, v in values.items()}


@settings(deadline=None, max_examples=50)
@given(forests(), st.integers(0, 2**32))
def test_json_of_a_spaces_architecture_is_accepted_by_it(space: Space, seed: int) -> None:
    architecture = space.sample(generator(seed, "test"))
    assert space.architecture(Architecture.from_json(architecture.to_json())) == architecture


@pytest.mark.parametrize("text", ["[]", "3", '{"a": null}', '{"a": [1]}', '{"a": {"b": 1}}'])
def test_other_json_is_refused(text: str) -> None:
    message = r"^an architecture is a JSON object from choice names to numbers, strings or booleans$"
    with pytest.raises(ValueError, match=message):
        Architecture.from_json(text)


def test_what_is_not_json_is_refused() -> None:
    with pytest.raises(ValueError, match=r"^Expecting value: line 1 column 1 \(char 0\)$"):
        Architecture.from_json("depth: 1")
