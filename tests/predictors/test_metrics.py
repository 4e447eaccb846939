"""Measures of prediction against hand values and scipy."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import kendalltau

from predictors.metrics import mape, tau, within


def test_mape_is_the_mean_error_in_percent_of_the_measured_value() -> None:
    """10 % over, 20 % under, exact."""
    assert mape(np.array([1.1, 1.6, 3.0]), np.array([1.0, 2.0, 3.0])) == pytest.approx(10.0)


def test_within_counts_the_limit_itself() -> None:
    """Two of four lie within a quarter, one of them on the edge."""
    assert within(np.array([1.25, 2.0, 5.0, 0.1]), np.array([1.0, 2.0, 3.0, 1.0]), 0.25) == 0.5


numbers = st.lists(st.tuples(st.integers(-5, 5), st.integers(-5, 5)), min_size=2, max_size=20)


@given(numbers)
def test_tau_is_kendalls_tau_b_and_zero_where_that_is_undefined(pairs: list[tuple[int, int]]) -> None:
    """Ties count as they do in scipy; a constant ranks nothing."""
    a, b = np.array(pairs, float).T
    expected = kendalltau(a, b).statistic if len(set(a)) > 1 and len(set(b)) > 1 else 0.0
    assert tau(a, b) == pytest.approx(expected)
    assert tau(a, b) == pytest.approx(tau(b, a))


def test_tau_of_an_order_and_its_reverse() -> None:
    """1 and -1."""
    a = np.array([1.0, 2.0, 3.0])
    assert (tau(a, a**3), tau(a, -a)) == (1.0, -1.0)
