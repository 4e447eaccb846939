"""Layers of one architecture are the rows of the table over many, whatever was asked before."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import spaces.single
from spaces import INPUT, Space
from spaces.choice import Choice, Condition
from spaces.layers import Chosen, Layer, Record
from spaces.load import load, zoo
from spaces.outline import Outline
from spaces.randomness import generator
from tests.examples import convnets

SIZES = ("c_in", "c_out", "kernel", "stride", "groups", "h", "w", "out_h", "out_w", "heads", "rows")
FORMATS = ("runs8", "in8", "out8")


def same_as_the_table(space: Space, count: int, seed: int = 0) -> None:
    """Compare every field of every layer."""
    batch = space.sample_many(count, generator(seed, "test"), by_choice=True)
    table, paths = space.outline.table(batch), [r.path for r in space.outline.records]
    for i, architecture in enumerate(batch):
        layers = space.outline.layers(architecture)
        present = [c for c in table if c.exists[i]]
        assert [y.path for y in layers] == [c.record.path for c in present]
        for y, c in zip(layers, present, strict=True):
            assert all(getattr(y, name) == getattr(c, name)[i] for name in (*SIZES, *FORMATS)), y.path
            assert y.inputs == tuple(INPUT if k < 0 else paths[k] for k in c.inputs[i])
            given = y.precision.weight, y.precision.input
            assert tuple(spec.bits if spec else 0 for spec in given) == (c.weight_bits[i], c.input_bits[i])


@pytest.mark.parametrize("name", [n for n in zoo() if not n.startswith("spaceevo")])
def test_one_is_a_row_of_many(name: str) -> None:
    space = load(name)
    same_as_the_table(space, 8)


@settings(deadline=None, max_examples=40)
@given(convnets(), st.integers(0, 2**32))
def test_one_is_a_row_of_many_in_every_precision(space: Space, seed: int) -> None:
    same_as_the_table(space, 8, seed)


def test_forms_are_kept_and_forgotten_without_a_difference(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spaces.single, "_MOST_KEPT", 2)
    same_as_the_table(load("ofa_mobilenetv3"), 30)


def test_values_that_are_equal_in_python_are_different_here() -> None:
    """1 and true are two values of one choice."""
    records = (
        Record("a", "conv", (INPUT,), out=Chosen("width")),
        Record("b", "activation", ("a",), exists_when=(Condition("width", (True,)),)),
    )
    space = Space("typed", (Choice("width", (1, True, 2)),), Outline((1, 2, 2), 2, records))

    def layers(value: object) -> tuple[Layer, ...]:
        return space.outline.layers(space.architecture({"width": value}))  # type: ignore[dict-item]

    assert [len(layers(v)) for v in (1, True, 1, 2, True)] == [1, 2, 1, 1, 2]
