"""Statistics of comparisons against published and made-up numbers."""

from __future__ import annotations

import numpy as np
import pytest

from nas.protocol.statistics import better, interval, relative_improvement
from spaces.randomness import generator

# Means of method and of random search on CIFAR-10 that give the RI column of Yang et al. 2020, table 2.
PUBLISHED = {"DARTS": 0.32, "P-DARTS": 0.52, "NSGANet": -0.48, "ENAS": 0.01, "CNAS": 0.74, "MANAS": 0.18, "NAO": 0.44}


@pytest.mark.parametrize("method", PUBLISHED)
def test_relative_improvement_is_in_percent_of_random(method: str) -> None:
    """From accuracies around their random networks' 97.03: the published column to 0.01."""
    random = np.array([96.8, 97.03, 97.26])
    found = random * (1 + PUBLISHED[method] / 100)
    assert relative_improvement(found, random) == pytest.approx(PUBLISHED[method], abs=0.01)


def test_the_interval_covers_the_truth_as_often_as_it_says() -> None:
    """1,000 simulated studies of 20 runs each: 93 to 97 in a hundred, less the known shortness of small bootstraps."""
    rng = generator(0, "test")
    covered = 0
    for study in range(1_000):
        method, random = rng.normal(97.3, 0.25, 20), rng.normal(97.0, 0.25, 20)
        low, high = interval(method, random, generator(study, "test.bootstrap"), resamples=400)
        covered += low <= 100 * 0.3 / 97.0 <= high
    assert 915 <= covered <= 970


def test_smaller_regrets_are_better() -> None:
    """One-sided."""
    small, large = np.linspace(0, 1, 20), np.linspace(2, 3, 20)
    assert better(small, large) < 1e-6
    assert better(large, small) > 0.99
    assert better(small, small) == pytest.approx(0.5, abs=0.02)
