"""Features: what the columns are called, what is in them, and that no two architectures look alike."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from spaces import Choice, Condition, Space
from spaces.randomness import generator
from tests.examples import NO_LAYERS, convnets, forests


def test_columns_are_one_hot_then_rank_then_presence() -> None:
    """A rank only where more than two values are in order, a presence flag only where the choice can be absent."""
    choices = (
        Choice("depth", (1, 2, 4)),
        Choice("kind", ("a", "b"), (Condition("depth", (2, 4)),)),
        Choice("kernel", (3, 5)),
        Choice("one", (7,), (Condition("kind", ("b",)),)),
    )
    space = Space("s", choices, NO_LAYERS)
    assert space.feature_names == (
        "depth=1", "depth=2", "depth=4", "depth",
        "kind=a", "kind=b", "kind present",
        "kernel=3", "kernel=5",
        "one=7", "one present",
    )  # fmt: skip
    architectures = [
        space.architecture({"depth": 1, "kernel": 5}),
        space.architecture({"depth": 2, "kind": "b", "one": 7, "kernel": 3}),
        space.architecture({"depth": 4, "kind": "a", "kernel": 3}),
    ]
    encoded = space.encode(architectures)
    assert encoded.dtype == np.float32
    assert encoded.tolist() == [
        [1, 0, 0, 0.0, 0, 0, 0, 0, 1, 0, 0],
        [0, 1, 0, 0.5, 0, 1, 1, 1, 0, 1, 1],
        [0, 0, 1, 1.0, 1, 0, 1, 1, 0, 0, 0],
    ]


@settings(deadline=None, max_examples=50)
@given(st.one_of(forests(), convnets()), st.integers(0, 2**32))
def test_features_are_names_wide_and_tell_architectures_apart(space: Space, seed: int) -> None:
    batch = space.sample_many(16, generator(seed, "test"))
    encoded = space.encode(batch)
    assert encoded.shape == (16, len(space.feature_names))
    assert np.array_equal(encoded, space.encode(list(batch)))
    assert ((encoded >= 0) & (encoded <= 1)).all()
    assert len({row.tobytes() for row in encoded}) == len(set(batch))
    for column, name in enumerate(space.feature_names):
        if name.endswith(" present"):
            there = [name.removesuffix(" present") in a for a in batch]
            assert encoded[:, column].astype(bool).tolist() == there
