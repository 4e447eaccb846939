"""Fronts against trying everything."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from nas.pareto import crowding, front, hypervolume, knee, ranks

VALUES = hnp.arrays(np.float64, st.tuples(st.integers(1, 25), st.integers(1, 4)), elements=st.integers(0, 6).map(float))


def dominates(a: np.ndarray, b: np.ndarray) -> bool:
    """No worse in anything, better in something."""
    return bool((a <= b).all() and (a < b).any())


@given(VALUES)
def test_ranks_are_the_layers_of_domination(values: np.ndarray) -> None:
    """Peeled off one by one; repeated rows are in the same layer."""
    left = set(range(len(values)))
    expected = np.zeros(len(values), int)
    layer = 0
    while left:
        best = {i for i in left if not any(dominates(values[j], values[i]) for j in left)}
        expected[list(best)] = layer
        left -= best
        layer += 1
    assert ranks(values).tolist() == expected.tolist()


@given(VALUES)
def test_the_front_is_the_first_layer_each_point_once(values: np.ndarray) -> None:
    """Of equal rows the first."""
    found = front(values)
    first = {tuple(row) for row in values[ranks(values) == 0]}
    assert {tuple(row) for row in values[found]} == first
    assert len(found) == len(first)


@given(VALUES)
def test_crowding_prefers_ends_and_never_repetitions(values: np.ndarray) -> None:
    """Infinite for some row at an end of each objective, zero for the second of equal rows."""
    distance = crowding(values)
    assert (distance >= 0).all()
    seen: set[tuple[float, ...]] = set()
    for row, d in zip(values, distance, strict=True):
        assert tuple(row) not in seen or d == 0
        seen.add(tuple(row))


def test_crowding_by_hand() -> None:
    """Three in a row: the middle one has both sides of both objectives."""
    assert crowding(np.array([[0.0, 4.0], [1.0, 1.0], [4.0, 0.0]])).tolist() == [np.inf, 2.0, np.inf]


@given(VALUES)
def test_hypervolume_never_falls_with_more_points(values: np.ndarray) -> None:
    """And dominated points add nothing."""
    reference = np.full(values.shape[1], 7.0)
    whole = hypervolume(values, reference)
    assert hypervolume(values[:-1], reference) <= whole + 1e-9
    assert hypervolume(values[front(values)], reference) == np.float64(whole)


def test_hypervolume_by_hand() -> None:
    """Two rectangles that overlap."""
    assert hypervolume(np.array([[1.0, 2.0], [2.0, 1.0], [9.0, 9.0]]), np.array([3.0, 3.0])) == 3.0
    assert hypervolume(np.array([[9.0, 9.0]]), np.array([3.0, 3.0])) == 0.0


def test_the_knee_is_where_both_are_small() -> None:
    assert knee(np.array([[0.0, 10.0], [1.0, 1.0], [10.0, 0.0], [5.0, 5.0]])) == 1


def test_the_front_of_stitched_networks_is_the_published_one() -> None:
    """71 networks between DeiT-Ti, S and B (Pan et al. 2023): 39 are on the front, from the smallest to number 39."""
    path = Path(__file__).resolve().parents[3] / "shared" / "data" / "snnet" / "deit_stitches.csv"
    if not path.exists():
        pytest.skip(f"the table {path.name} is not here")
    with path.open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    values = np.array([[float(row["flops"]), -float(row["acc1"])] for row in rows])
    best = sorted(front(values), key=lambda i: values[i, 0])
    assert (len(rows), len(best)) == (71, 39)
    assert (rows[best[0]]["cfg_id"], rows[best[-1]]["cfg_id"]) == ("0", "39")
