"""How good a prediction is."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import kendalltau

Floats = NDArray[np.float64]


def mape(predicted: Floats, measured: Floats) -> float:
    """Mean absolute error in percent of the measured value, (n,) each."""
    return float(np.mean(np.abs(predicted / measured - 1)) * 100)


def within(predicted: Floats, measured: Floats, share: float) -> float:
    """Share of predictions within ``share`` (0.1: ten percent) of the measured value."""
    return float(np.mean(np.abs(predicted / measured - 1) <= share))


def tau(a: Floats, b: Floats) -> float:
    """Kendall's rank correlation (tau-b); 0 where one of the two is constant, or nothing can be ranked."""
    if len(a) < 2:
        return 0.0
    value = float(kendalltau(a, b).statistic)
    return value if np.isfinite(value) else 0.0


def errors(of: str, predicted: Floats, measured: Floats) -> dict[str, Any]:
    """How far predicted times in milliseconds are off, for a result; ``of`` what, in the plural."""
    return {
        "of": of,
        "networks": len(measured),
        "mape": mape(predicted, measured),
        "within_5": within(predicted, measured, 0.05),
        "within_10": within(predicted, measured, 0.1),
        "tau": tau(predicted, measured),
        "fastest_ms": float(measured.min()),
        "slowest_ms": float(measured.max()),
        "spread": float(measured.std() / measured.mean()),
        "predicted_ms": predicted.tolist(),
        "measured_ms": measured.tolist(),
    }
