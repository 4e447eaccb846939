"""``result.json``: what a finished run says, as plain data."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from nas.evaluators.predictor import Predictions
from nas.experiment import Experiment
from nas.report import words
from nas.stages.search import pareto
from nas.stages.verifier import Row
from nas.strategies import Result

_OF_BASELINE = (
    "key", "architecture", "quality", "score", "latency_ms", "size_bytes", "costs", "kernels", "computing", "container",
    "simulated", "agreement", "model",
)  # fmt: skip


@dataclass(frozen=True)
class Verified:
    """End of stage 6. ``finalists`` and ``baselines`` (``{"name", "row"}``) as rows; ``refused``: key -> reason.

    ``guard``: how many times a session an upper bound is. ``harm``: what
    :mod:`nas.stages.harmless` did to the chosen one.
    """

    budget: Mapping[str, float]
    finalists: Sequence[Row]
    chosen: Row | None
    baselines: Sequence[Mapping[str, Any]]
    refused: Mapping[str, str]
    guard: float
    harm: Mapping[str, Any] | None = None


def result(
    asked: Experiment, about: Mapping[str, Any], verified: Verified, results: Sequence[Result], predict: Predictions
) -> dict[str, Any]:
    """The dict behind ``result.json``. ``about``: further entries, such as the run's name, seed, metric and seconds."""
    chosen = verified.chosen
    return {
        **about,
        "space": {"name": asked.space.name, "size": asked.space.size, "searched": asked.searched.size},
        "budget": dict(verified.budget),
        "budget_met": chosen is not None,
        "chosen": None if chosen is None else chosen["key"],
        "device": asked.device.target().fingerprint(),
        "settings": asked.to_json(),
        "finalists": sorted(verified.finalists, key=words.order, reverse=True),
        "baselines": [{"name": b["name"], **{k: b["row"][k] for k in _OF_BASELINE}} for b in verified.baselines],
        "guard": verified.guard,
        "do_no_harm": verified.harm,
        "refused": [{"key": key, "reason": reason} for key, reason in verified.refused.items()],
        "front": points(pareto(results), predict, asked.search.objectives),
        "trials": points(results, predict, asked.search.objectives),
    }


def points(results: Sequence[Result], predict: Predictions, objectives: Sequence[str]) -> list[dict[str, Any]]:
    """Predicted quality (as the metric), latency, size and other ``objectives`` of each result."""
    quality = predict.accuracy.accuracy(np.array([r.values["quality"] for r in results]))
    others = ["latency_ms", "size_bytes", *(n for n in objectives if n not in ("quality", "latency_ms", "size_bytes"))]
    return [
        {"key": r.architecture.key, "quality": float(q), **{name: r.values[name] for name in others}}
        for r, q in zip(results, quality, strict=True)
    ]
