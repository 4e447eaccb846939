"""Latency on a new device from tables of known devices and 10 to 50 measurements.

A Gaussian prior over the log latency of the new device, whose covariance comes from the known ones: their log times
smoothed by a linear model on the operations, what smoothing left over (weaker), and the operations themselves
(weakest, for what no known device shows). Its posterior mean is a ridge regression on these columns. The networks to
measure are chosen one by one, each lowering the summed variance of all networks most; the choice reads no
measurement, so it can be made before the device is at hand.

Source: Bayesian linear regression and greedy A-optimal design (Rasmussen & Williams 2006, section 2.1; Chaloner &
Verdinelli 1995, section 2.2); the task is that of HELP (Lee et al. 2021). Differs: nothing is meta-learned.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np
from numpy.typing import NDArray

from predictors.metrics import tau
from spaces.randomness import generator

Floats = NDArray[np.float64]
Indices = NDArray[np.intp]

_SMOOTHING = 1.0  # ridge of the linear model on operations
_FLOOR = 2.0  # logs below the median: cells with all paths cut take almost no time, and would rule the fit
_FLAT = 3.0  # prior deviation of the level, in deviations of log latency
_POOL = 800  # networks among which samples are chosen
_TRIAL = 1500  # networks on which settings are compared


@dataclass(frozen=True)
class Settings:
    """Prior variances next to that of the smoothed columns, which is 1: leftovers, operations, noise of a sample."""

    leftover: float = 0.1
    operations: float = 0.01
    noise: float = 1.0


GRID = tuple(Settings(a, b, c) for a, b, c in product((0.1, 1.0), (0.001, 0.01), (0.3, 1.0)))


@dataclass(frozen=True)
class Prior:
    """``columns`` (n, p): of every network, scaled so that all have prior variance 1. See :meth:`of`."""

    columns: Floats
    noise: float

    @classmethod
    def of(cls, features: Floats, known_ms: Floats, families: Sequence[str], settings: Settings) -> Prior:
        """Prior of n networks with ``features`` (n, d), whose times on k known devices are ``known_ms`` (n, k).

        Devices of one family (variants of one device) share the weight of one. Raises ``ValueError`` if a time is not
        a positive number, or ``families`` does not name one per device.
        """
        if len(families) != known_ms.shape[1] or not families:
            raise ValueError(f"{known_ms.shape[1]} known devices need as many families, got {len(families)}")
        if not (np.isfinite(known_ms) & (known_ms > 0)).all():
            raise ValueError("times of known devices must be positive numbers")
        logs = _logs(known_ms)
        logs = (logs - logs.mean(axis=0)) / np.maximum(logs.std(axis=0), 1e-9)
        x = features - features.mean(axis=0)
        smooth = x @ np.linalg.solve(x.T @ x + _SMOOTHING * np.eye(x.shape[1]), x.T @ logs)
        share = np.sqrt([1 / list(families).count(name) for name in families])
        wide = np.hstack(
            [
                share * smooth,
                np.sqrt(settings.leftover) * share * (logs - smooth),
                np.sqrt(settings.operations) * x,
            ]
        )
        values, vectors = np.linalg.eigh(wide.T @ wide)
        return cls(wide @ vectors[:, values > 1e-5 * values[-1]], settings.noise)

    def choose(self, count: int, seed: int = 0) -> Indices:
        """(count,) different networks to measure. Raises ``ValueError`` if there are not as many."""
        n = len(self.columns)
        if not 1 <= count <= n:
            raise ValueError(f"cannot choose {count} of {n} networks")
        pool = generator(seed, "transfer.pool").permutation(n)[: max(_POOL, count)]
        f = np.hstack([self.columns[pool], np.full((len(pool), 1), _FLAT)])
        gram = f.T @ f
        spread, pull = f.copy(), f @ gram  # networks times posterior covariance, and that times gram
        chosen: list[int] = []
        for _ in range(count):
            total = self.noise + (spread * f).sum(axis=1)
            gain = (pull * spread).sum(axis=1) / total
            gain[chosen] = -1
            best = int(gain.argmax())
            chosen.append(best)
            row, moved = spread[best].copy(), pull[best].copy()
            shared = (f @ row / total[best])[:, None]
            spread -= shared * row
            pull -= shared * moved
        return np.asarray(pool[chosen], np.intp)

    def predict(self, rows: Indices, ms: Floats) -> Floats:
        """Time in ms (n,) of every network on the new device, on which the networks ``rows`` (m,) took ``ms`` (m,).

        Raises ``ValueError`` if a time is not a positive number, or there are fewer than two.
        """
        if len(rows) != len(ms) or len(ms) < 2 or not (np.isfinite(ms) & (ms > 0)).all():
            raise ValueError(f"{len(rows)} measured networks need as many positive times, at least two")
        y = _logs(ms)
        scale = max(float(y.std()), 1e-6)
        f = self.columns[rows]
        covariance = f @ f.T + self.noise * np.eye(len(f)) + _FLAT**2
        weights = np.linalg.solve(covariance, (y - y.mean()) / scale)
        log = y.mean() + scale * (self.columns @ (f.T @ weights) + _FLAT**2 * weights.sum())
        return np.asarray(np.exp(log), np.float64)


def settings_for(features: Floats, known_ms: Floats, families: Sequence[str], counts: Sequence[int]) -> list[Settings]:
    """Per number of samples, the settings of :data:`GRID` that transfer best among the known devices.

    Each known family in turn plays the new one (its first device), and the others are known; judged by Kendall's tau.
    With fewer than two families nothing can be compared, and the defaults are returned.
    """
    names = sorted(set(families))
    if len(names) < 2:
        return [Settings()] * len(counts)
    some = generator(0, "transfer.settings").permutation(len(features))[:_TRIAL]
    x, ms = features[some], known_ms[some]
    found = np.zeros((len(GRID), len(counts)))
    for name in names:
        others = [j for j, family in enumerate(families) if family != name]
        new = ms[:, list(families).index(name)]
        for i, settings in enumerate(GRID):
            prior = Prior.of(x, ms[:, others], [families[j] for j in others], settings)
            rows = prior.choose(min(max(counts), len(x)))  # greedy: fewer samples are its beginning
            found[i] += [tau(prior.predict(rows[:m], new[rows[:m]]), new) for m in counts]
    return [GRID[i] for i in found.argmax(axis=0)]


def _logs(ms: Floats) -> Floats:
    logs = np.log(ms)
    return np.asarray(np.maximum(logs, np.median(logs, axis=0) - _FLOOR), np.float64)
