"""Times of keys that were not measured, from those that were, by kriging.

Gaussian process regression (Rasmussen & Williams 2006, algorithm 2.1) of the log time of a call, over the logs of how
much a key computes, reads and writes. The covariance is a sum: a linear trend that all kinds share, one of each kind,
and a Matern kernel (equation 4.17, nu = 3/2) of sizes and kinds, which follows what is no power law. Length scales and
noise are chosen by leaving one out (equation 5.12).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import cho_factor, cho_solve

from predictors.latency.amounts import amounts
from predictors.latency.key import Key
from predictors.latency.regressors.base import standard
from spaces.randomness import generator

Floats = NDArray[np.float64]

NAME = "kriging"
_LENGTHS, _KIND_LENGTHS, _NOISES = (1.0, 2.0, 4.0, 8.0), (0.5, 1.0, 2.0), (1e-4, 1e-3, 1e-2)
_MOST, _CHOSEN_BY = 2_500, 300  # rows that are read, and by which length scales are chosen: both cost the cube
_OF_A_KIND = 25  # rows that are read of each, before others are
_AT_ONCE = 4_096  # keys that are predicted at a time
_LEAST_MS = 1e-6
_WORST = 1.0  # error in logs above which one is as bad as another


@dataclass(frozen=True)
class _Points:
    """``sizes`` (n, d) and ``kinds`` (n, parts) of keys."""

    sizes: Floats
    kinds: NDArray[np.str_]

    @classmethod
    def of(cls, keys: Sequence[Key]) -> _Points:
        found = [amounts(key) for key in keys]
        return cls(np.array([a.sizes for a in found]), np.array([a.kind for a in found]))

    def standard(self, mean: Floats, deviation: Floats) -> _Points:
        return _Points((self.sizes - mean) / deviation, self.kinds)

    def part(self, rows: NDArray[np.intp]) -> _Points:
        return _Points(self.sizes[rows], self.kinds[rows])


@dataclass(frozen=True)
class Interpolation:
    """See :meth:`of`. ``known``: the measured keys, standardised; ``solved`` (n,): the weights of their covariances."""

    known: _Points
    mean: Floats
    deviation: Floats
    scales: tuple[float, float, float]
    level: float
    solved: Floats
    call_ms: float

    @classmethod
    def of(cls, keys: Sequence[Key], ms: Sequence[float], call_ms: float) -> Interpolation:
        """From measured keys, one at least, and their times without that of a call, ``call_ms``.

        Of very many rows a part is read, drawn at random.
        """
        every = _Points.of(keys)
        rows = _some(len(keys), _MOST, "interpolation", every.kinds)
        points = every.part(rows)
        mean, deviation = standard(points.sizes)
        known = points.standard(mean, deviation)
        logs = np.log(np.maximum(np.array(ms, np.float64)[rows] + call_ms, _LEAST_MS))
        level = float(logs.mean())
        scales = _scales(known, logs - level)
        factors = cho_factor(_covariance(known, known, scales) + scales[2] * np.eye(len(rows)))
        return cls(known, mean, deviation, scales, level, cho_solve(factors, logs - level), call_ms)

    def ms(self, keys: Sequence[Key]) -> Floats:
        """Times (n,) of these keys without that of a call, never below 0."""
        if not keys:
            return np.zeros(0)
        parts = [keys[i : i + _AT_ONCE] for i in range(0, len(keys), _AT_ONCE)]
        logs = np.concatenate([self._logs(part) for part in parts])
        return np.asarray(np.maximum(np.exp(logs) - self.call_ms, 0.0), np.float64)

    def _logs(self, keys: Sequence[Key]) -> Floats:
        points = _Points.of(keys).standard(self.mean, self.deviation)
        return np.asarray(self.level + _covariance(points, self.known, self.scales) @ self.solved)


def _some(count: int, most: int, purpose: str, kinds: NDArray[np.str_] | None = None) -> NDArray[np.intp]:
    """At most ``most`` rows of ``count``, drawn at random; first some of each of the ``kinds`` (count, parts)."""
    drawn = generator(0, purpose).permutation(count)
    if kinds is not None and count > most:
        _, codes = np.unique(kinds[drawn], axis=0, return_inverse=True)
        codes = codes.reshape(-1)
        turns = np.zeros(count, np.intp)  # how many of its kind stand before each
        for code in range(int(codes.max()) + 1):
            turns[codes == code] = np.arange((codes == code).sum())
        drawn = drawn[np.argsort(turns >= _OF_A_KIND, kind="stable")]
    return np.sort(drawn[:most])


def _scales(known: _Points, values: Floats) -> tuple[float, float, float]:
    """(length of sizes, length of kinds, variance of the noise) that leave the smallest error."""
    rows = _some(len(values), _CHOSEN_BY, "interpolation.scales")
    part = known.part(rows)

    def left_out(scales: tuple[float, float, float]) -> float:
        inverse = np.linalg.inv(_covariance(part, part, scales) + scales[2] * np.eye(len(rows)))
        errors = inverse @ values[rows] / np.diag(inverse)
        return float(np.minimum(np.abs(errors), _WORST).mean())

    return min(product(_LENGTHS, _KIND_LENGTHS, _NOISES), key=left_out)


def _covariance(a: _Points, b: _Points, scales: tuple[float, float, float]) -> Floats:
    """(n, m) of points ``a`` (n) and ``b`` (m), up to a factor."""
    length, kind_length, _ = scales
    other = np.zeros((len(a.kinds), len(b.kinds)))  # parts in which their kinds differ
    for x, y in zip(a.kinds.T, b.kinds.T, strict=True):
        _, codes = np.unique(np.concatenate([x, y]), return_inverse=True)
        other += codes[: len(x), None] != codes[len(x) :]
    other /= kind_length**2
    products = a.sizes @ b.sizes.T
    apart = (a.sizes**2).sum(axis=1)[:, None] + (b.sizes**2).sum(axis=1) - 2 * products
    root = np.sqrt(3 * (np.maximum(apart, 0) / length**2 + other))
    trend = (1 + np.exp(-other)) * (1 + products)
    return np.asarray(trend + (1 + root) * np.exp(-root), np.float64)
