"""The contract: exported networks are timed on the device, and the measured upper bound decides."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from predictors.latency import Target, measure
from predictors.latency.backends import onnxruntime as backend

SESSIONS = 3
GUARD = 1.025
"""The largest of three sessions times this held in 99.8 % of re-measurements in this project's reference on kernels,
section of the contract; the median with its own confidence interval in 57 % only."""


Sessions = dict[str, list[float]]
"""Name of a network -> median time of each of its sessions in milliseconds."""


def measured(models: Mapping[str, bytes], target: Target) -> Sessions:
    """Time whole exported networks, interleaved, each in three fresh sessions, as the machine is now."""
    names = [name for _ in range(SESSIONS) for name in models]
    timings = measure([lambda name=name: backend.prepared(models[name], target.threads) for name in names], [])  # type: ignore[misc]
    return {name: [t.median_ms for n, t in zip(names, timings, strict=True) if n == name] for name in models}


class Measurements:
    """What is known of the times of exported networks, from one measurement after the other."""

    def __init__(self) -> None:
        self._rounds: list[Sessions] = []

    def add(self, sessions: Sessions) -> None:
        """Add a measurement: networks in it were timed side by side."""
        self._rounds.append(sessions)

    def __contains__(self, name: str) -> bool:
        return any(name in sessions for sessions in self._rounds)

    def median_ms(self, name: str) -> float:
        """Median over the sessions of the last measurement that the network was part of."""
        return float(np.median(next(s[name] for s in reversed(self._rounds) if name in s)))

    def upper_ms(self, name: str) -> float:
        """The largest session of all measurements, times the guard."""
        return GUARD * max(ms for sessions in self._rounds for ms in sessions.get(name, []))
