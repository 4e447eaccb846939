"""How sure a difference between methods is."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
ENOUGH = 8  # seeds, below which a comparison is warned about (Yang et al. 2020 use eight runs)


def relative_improvement(method: Floats, random: Floats) -> float:
    """RI in percent: how much better a method's mean is than that of random search (Yang et al. 2020, section 3)."""
    base = float(np.mean(random))
    return 100 * (float(np.mean(method)) - base) / abs(base)


def interval(method: Floats, random: Floats, rng: np.random.Generator, resamples: int = 2_000) -> tuple[float, float]:
    """95 % bootstrap interval of :func:`relative_improvement`: both groups of runs are drawn anew (percentiles)."""
    a = rng.choice(method, (resamples, len(method))).mean(axis=1)
    b = rng.choice(random, (resamples, len(random))).mean(axis=1)
    low, high = np.percentile(100 * (a - b) / np.abs(b), [2.5, 97.5])
    return float(low), float(high)


def better(method: Floats, random: Floats) -> float:
    """p of the one-sided Mann-Whitney test that the values of ``method`` are smaller than those of ``random``."""
    from scipy.stats import mannwhitneyu

    return float(mannwhitneyu(method, random, alternative="less").pvalue)
