"""Transfer to a new device: it uses what it measured, and nothing else of the device."""

from __future__ import annotations

import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from predictors.latency.transfer import GRID, Prior, Settings, settings_for
from predictors.metrics import tau

RNG = np.random.default_rng(7)
HOT = np.eye(4)[RNG.integers(4, size=(400, 6))].reshape(400, -1)
COSTS = np.abs(RNG.normal(1, 0.4, (24, 5)))
MS = HOT @ (COSTS @ RNG.dirichlet(np.ones(5), 6).T + 0.05) * np.exp(0.02 * RNG.normal(size=(400, 6)))
FAMILIES = ["a", "a", "b", "c", "d"]
KNOWN, NEW = MS[:, :5], MS[:, 5]
PRIOR = Prior.of(HOT, KNOWN, FAMILIES, Settings())


def test_few_measurements_rank_the_networks_of_a_new_device() -> None:
    """With 10 better than any known device ranks them, with 50 better still."""
    few, many = (tau(PRIOR.predict(rows, NEW[rows]), NEW) for rows in (PRIOR.choose(10), PRIOR.choose(50)))
    assert max(tau(KNOWN[:, j], NEW) for j in range(5)) < few < many


@pytest.mark.parametrize("count", [10, 50])
def test_rows_of_the_new_device_that_were_not_measured_are_not_read(count: int) -> None:
    """All others NaN: the same settings, the same samples, the same predictions."""

    def predicted(column: np.ndarray) -> np.ndarray:
        (settings,) = settings_for(HOT, KNOWN, FAMILIES, [count])
        prior = Prior.of(HOT, KNOWN, FAMILIES, settings)
        rows = prior.choose(count)
        return prior.predict(rows, column[rows])

    rows = Prior.of(HOT, KNOWN, FAMILIES, settings_for(HOT, KNOWN, FAMILIES, [count])[0]).choose(count)
    hidden = np.full_like(NEW, np.nan)
    hidden[rows] = NEW[rows]
    assert np.isfinite(predicted(hidden)).all()
    np.testing.assert_array_equal(predicted(hidden), predicted(NEW))


@given(st.floats(1e-3, 1e3))
def test_the_unit_does_not_matter(factor: float) -> None:
    """Predictions scale with the measurements."""
    rows = PRIOR.choose(10)
    np.testing.assert_allclose(PRIOR.predict(rows, factor * NEW[rows]), factor * PRIOR.predict(rows, NEW[rows]), 1e-6)


def test_chosen_networks_are_different_and_fewer_are_a_beginning_of_more() -> None:
    """And the same for one seed."""
    assert len(set(PRIOR.choose(50).tolist())) == 50
    assert PRIOR.choose(50)[:10].tolist() == PRIOR.choose(10).tolist()


def test_settings_come_from_the_grid_and_are_defaults_without_a_second_family() -> None:
    """One per number of samples."""
    assert all(s in GRID for s in settings_for(HOT, KNOWN, FAMILIES, [10, 50]))
    assert settings_for(HOT, KNOWN[:, :2], ["a", "a"], [10]) == [Settings()]


def test_wrong_times_and_counts_are_refused() -> None:
    """With the message that says what is needed."""
    bad = KNOWN.copy()
    bad[3, 1] = np.nan
    with pytest.raises(ValueError, match=r"\Atimes of known devices must be positive numbers\Z"):
        Prior.of(HOT, bad, FAMILIES, Settings())
    with pytest.raises(ValueError, match=r"\A5 known devices need as many families, got 1\Z"):
        Prior.of(HOT, KNOWN, ["a"], Settings())
    with pytest.raises(ValueError, match=r"\Acannot choose 401 of 400 networks\Z"):
        PRIOR.choose(401)
    message = "2 measured networks need as many positive times, at least two"
    for ms in ([1.0, -1.0], [1.0, np.nan], [1.0]):
        with pytest.raises(ValueError, match=rf"\A{re.escape(message)}\Z"):
            PRIOR.predict(np.array([0, 1]), np.array(ms))
