"""Axes: where the kept places of joined and flattened dimensions stand."""

from __future__ import annotations

from itertools import pairwise
from math import prod

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from spaces.axis import Axis, Factor

FACTORS = st.lists(st.tuples(st.integers(1, 4), st.booleans()), max_size=3)


@given(segments=st.lists(FACTORS, min_size=1, max_size=3), kept=st.integers(1, 4))
def test_ranges_are_prefixes_of_every_factor(segments: list[list[tuple[int, bool]]], kept: int) -> None:
    """As slicing the unflattened dimension gives them, segment by segment."""
    axis = Axis(tuple(tuple(Factor(of, str(of) if chosen else None) for of, chosen in s) for s in segments))
    values = {name: min(kept, int(name)) for name in axis.names}
    wanted: list[int] = []
    start = 0
    for s in segments:
        places = np.arange(start, start + prod(of for of, _ in s)).reshape([of for of, _ in s])
        start += places.size
        wanted += places[tuple(slice(values[str(of)] if chosen else None) for of, chosen in s)].flatten().tolist()
    ranges = axis.ranges(values.__getitem__)
    assert [i for a, b in ranges for i in range(a, b)] == wanted
    assert all(a < b for a, b in ranges)
    assert all(before[1] < after[0] for before, after in pairwise(ranges))  # none could be one
    assert axis.most == start
