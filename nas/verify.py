"""The contract: exported networks are timed on the device, and the measured upper bound decides."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from predictors.latency import Target, measure
from predictors.latency.backends import onnxruntime as backend

SESSIONS = 3
GUARD = 1.025
"""The largest of three sessions times this held in 99.8 % of re-measurements in this project's reference on kernels,
section of the contract; the median with its own confidence interval in 57 % only."""


@dataclass(frozen=True)
class Measured:
    """``median_ms`` over sessions; ``upper_ms`` the largest session's median times the guard."""

    median_ms: float
    upper_ms: float


def measured(models: Mapping[str, bytes], target: Target) -> dict[str, Measured]:
    """Time whole exported networks by name, interleaved, each in three fresh sessions, as the machine is now."""
    names = [name for _ in range(SESSIONS) for name in models]
    timings = measure([lambda name=name: backend.prepared(models[name], target.threads) for name in names], [])  # type: ignore[misc]
    result = {}
    for name in models:
        medians = [t.median_ms for n, t in zip(names, timings, strict=True) if n == name]
        result[name] = Measured(float(np.median(medians)), max(medians) * GUARD)
    return result
