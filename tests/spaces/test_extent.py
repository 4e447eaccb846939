"""Largest forms: every architecture fits into them, and none is larger than it must be; what is known at a place."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spaces import Space
from spaces.choice import Choice, Condition
from spaces.knowledge import Knowledge
from spaces.load import load, zoo
from spaces.randomness import generator
from tests.examples import convnets, space_of

NETWORKS = [name for name in zoo() if not name.startswith("spaceevo")]
SIZES = ("c_in", "c_out", "kernel", "rows", "h", "w")


def largest_seen(space: Space, count: int) -> dict[str, dict[str, int]]:
    """The largest of each size of each record over random architectures, and over the largest one."""
    found: dict[str, dict[str, int]] = {}
    for architecture in [space.largest, *space.sample_many(count, generator(0, "test"), by_choice=True)]:
        for y in space.outline.layers(architecture):
            sizes = found.setdefault(y.path, dict.fromkeys((*SIZES, "terms"), 0))
            given = {name: getattr(y, name) for name in SIZES} | {"terms": y.c_in // y.groups}
            found[y.path] = {name: max(sizes[name], value) for name, value in given.items()}
    return found


@pytest.mark.parametrize("name", NETWORKS)
def test_every_architecture_fits(name: str) -> None:
    space = load(name)
    for path, sizes in largest_seen(space, 30).items():
        for size, value in sizes.items():
            assert value <= getattr(space.extents[path], size), (path, size)


@pytest.mark.parametrize("name", [n for n in NETWORKS if n not in ("attentivenas", "bignas", "darts", "sharpdarts")])
def test_none_is_larger_than_it_must_be(name: str) -> None:
    """Not even behind blocks that are absent together, or alternatives of which there always is one."""
    space = load(name)
    for path, sizes in largest_seen(space, 400 if name.startswith("hat") else 120).items():
        for size in ("c_in", "c_out", "kernel", "terms"):
            assert sizes[size] == getattr(space.extents[path], size), (path, size)


@settings(deadline=None, max_examples=25)
@given(convnets(), st.integers(0, 2**32))
def test_the_largest_architecture_of_a_convnet_has_every_largest_form(space: Space, seed: int) -> None:
    for y in space.outline.layers(space.largest):
        most = space.extents[y.path]
        assert (y.c_in, y.c_out, y.kernel, y.h, y.w) == (most.c_in, most.c_out, most.kernel, most.h, most.w)


def test_groups_make_fewer_terms_and_parts_are_those_of_the_inputs() -> None:
    space = space_of("""
model:
  family: graph
  input: [4, 5, 5]
  classes: 2
  layers:
    - split:
        merge: concat
        branches:
          a: [conv: {out: {choice: [4, 8]}, groups: {choice: [2, 4]}}]
          b: [depthwise: {kernel: {choice: [3, 5]}}]
    - optional: [conv: {out: 6, kernel: 1}]
    - linear: 2
""")
    extents = space.extents
    assert extents["layers.0.a.0"].terms == 2
    assert extents["layers.0.b.0"].terms == 1
    assert extents["layers.0.concat"].parts == (8, 4)
    assert extents["layers.0.concat"].c_out == 12
    assert extents["layers.2"].c_in == 12  # where the 1x1 convolution is left out


# --- what is known ----------------------------------------------------------------------------------------------------

CHOICES = {
    c.name: c
    for c in (
        Choice("depth", (1, 2, 3)),
        Choice("kind", ("a", "b")),
        Choice("inner", (1, 2), (Condition("kind", ("a",)),)),
    )
}
DEEP = (Condition("depth", (2, 3)),)


def test_conditions_hold_fail_or_depend() -> None:
    nothing = Knowledge(CHOICES)
    assert nothing.holds(()) is True
    assert nothing.holds(DEEP) is None
    assert nothing.where(DEEP).holds(DEEP) is True
    assert nothing.where(DEEP).holds((Condition("depth", (1,)),)) is False
    assert nothing.without(DEEP).holds((Condition("depth", (3,)),)) is False
    assert nothing.without(DEEP).holds((Condition("depth", (1,)),)) is True


def test_a_choice_that_is_there_tells_of_those_it_needs() -> None:
    nothing = Knowledge(CHOICES)
    assert nothing.holds((Condition("inner", (1, 2)),)) is None  # it may be absent
    assert nothing.where((Condition("inner", (1,)),)).holds((Condition("kind", ("a",)),)) is True
    assert nothing.where((Condition("kind", ("a",)),)).holds((Condition("inner", (1, 2)),)) is True
    assert nothing.where((Condition("kind", ("b",)),)).holds((Condition("inner", (1, 2)),)) is False


def test_of_several_conditions_that_fail_together_none_fails_by_itself() -> None:
    both = (*DEEP, Condition("kind", ("a",)))
    known = Knowledge(CHOICES).without(both)
    assert known.holds(DEEP) is None
    assert known.holds(both) is False
    assert known.holds((Condition("depth", (3,)), Condition("kind", ("a",)))) is False


def test_when_every_value_is_ruled_out_the_place_is_never_reached() -> None:
    known = Knowledge(CHOICES)
    for value in ("a", "b"):
        assert known.possible
        known = known.without((Condition("kind", (value,)),))
    assert not known.possible
