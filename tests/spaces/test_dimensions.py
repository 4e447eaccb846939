"""Which dimension of a network a choice makes elastic."""

from __future__ import annotations

import pytest

import spaces
from spaces.dimensions import bit_choices, bits, descending, dimensions
from tests.examples import PLAIN, space_of


def test_choices_of_a_convnet() -> None:
    space = space_of(PLAIN)
    found = dimensions(space)
    assert set(found) == {c.name for c in space.choices}
    for name, dimension in found.items():
        assert name.endswith(dimension), (name, dimension)
    assert bit_choices(space) == {name for name, dimension in found.items() if dimension == "precision"}


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("ofa_mobilenetv3", {"kernel", "depth", "width"}),
        ("nas_bench_macro", {"kernel"}),
        ("nasbench201", {"kernel"}),
        ("autoformer_tiny", {"depth", "width"}),
        ("eqnet_resnet18", {"precision"}),
    ],
)
def test_dimensions_of_published_spaces(name: str, expected: set[str]) -> None:
    assert set(dimensions(spaces.load(name)).values()) == expected


def test_bits_and_what_else_a_precision_is_made_of() -> None:
    space = spaces.load("eqnet_resnet18")
    assert len(bit_choices(space)) == 38
    assert {c.values for c in space.choices if c.name in bit_choices(space)} == {tuple(range(2, 9))}
    assert bits("float") == (1024, 32)
    assert bits("w4a8") == (32, 4)


def test_the_largest_and_the_most_precise_come_first() -> None:
    space = space_of(PLAIN)
    ordered = {c.name: descending(space, c) for c in space.choices}
    assert ordered["stages.0.width"] == (6, 4, 3)
    assert ordered["classifier.precision"] == ("float", "w8a8", "w4a8")
    words = spaces.load("nas_bench_macro")
    assert {descending(words, c) for c in words.choices} == {None}
