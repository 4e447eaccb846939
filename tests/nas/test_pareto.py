"""Fronts against the definition, written out."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from nas.pareto import front

Rows = list[list[int]]


@st.composite
def rows(draw: st.DrawFn) -> Rows:
    """Up to 25 rows of 1 to 4 small whole numbers: many ties, many equal rows."""
    m = draw(st.integers(1, 4))
    return draw(st.lists(st.lists(st.integers(0, 4), min_size=m, max_size=m), min_size=1, max_size=25))


def dominates(a: list[int], b: list[int]) -> bool:
    """No worse anywhere, better somewhere."""
    return all(x <= y for x, y in zip(a, b, strict=True)) and a != b


@given(rows())
def test_the_front_is_what_no_row_dominates_and_the_first_of_equals(values: Rows) -> None:
    """Compared with every other row."""
    expected = [
        i
        for i, row in enumerate(values)
        if not any(dominates(other, row) for other in values) and row not in values[:i]
    ]
    assert front(np.array(values, float)).tolist() == expected


@given(rows(), st.randoms(use_true_random=False))
def test_the_order_of_rows_does_not_matter(values: Rows, shuffle: object) -> None:
    """The same values are kept, in whatever order they come."""
    other = list(values)
    shuffle.shuffle(other)  # type: ignore[attr-defined]
    kept = [values[i] for i in front(np.array(values, float))]
    assert sorted(kept) == sorted(other[i] for i in front(np.array(other, float)))


def test_a_single_row_and_infinities() -> None:
    """One row is a front; minus infinity beats everything in its column."""
    assert front(np.array([[1.0, 2.0]])).tolist() == [0]
    assert front(np.array([[np.inf, 0.0], [-np.inf, 1.0], [0.0, 2.0]])).tolist() == [0, 1]
