"""What ``result.json`` of a finished run says, made up, for tests of what is shown of it."""

from __future__ import annotations

import copy
from typing import Any

Result = dict[str, Any]


def network(key: str, measured: float | None, exported: float | None, **other: Any) -> Result:
    upper = None if measured is None else measured * 1.1
    return {
        "key": key,
        "architecture": {
            "stages.0.depth": 2,
            "stages.0.width": 16,
            "stages.0.0.kernel": 5,
            "stages.0.0.conv.precision": "float",
            "stages.0.1.kernel": 3,
            "stages.0.1.conv.precision": "w4a8",
            "classifier.precision": "w4a8",
        },
        "quality": {"predicted": 97.1, "supernet": 97.4, "exported": exported},
        "latency_ms": {"predicted": 0.019, "measured": measured, "measured_upper": upper},
        "size_bytes": 45_600,
        "kernels": {"Conv": 1, "QLinearConv": 2, "ReorderInput": 3},
        "computing": ["Conv", "QLinearConv"],
        "model": f"exports/{key}/model.onnx",
        **other,
    }


def example() -> Result:
    marks = {
        "container": ["stages.0.1.conv"],
        "simulated": [],
        "agreement": {"value": 1.0, "said": "100.00 % of the predictions are the same, at least 99.5 %"},
    }
    trials = [
        {"key": f"{i:016x}", "quality": 90.0 + i, "latency_ms": 0.01 * (i + 1), "size_bytes": 1000 * i}
        for i in range(5)
    ]
    return {
        "run": "digits-1",
        "space": {"name": "digits", "size": 3_195_072},
        "metric": {"name": "top-1 accuracy", "unit": "%", "sense": "max"},
        "budget": {"latency_ms": 0.03},
        "budget_met": True,
        "chosen": "aaaa",
        "verified": True,
        "seconds": {"train": 40.0, "search": 2.5},
        "device": {"backend": "onnxruntime", "threads": 1},
        "seed": 7,
        "settings": {"search": {"strategy": "random"}},
        "finalists": [network("aaaa", 0.02, 98.5, **marks), network("bbbb", 0.029, 98.0, **marks)],
        "baselines": [network("cccc", 0.1, 98.75, name="largest float")],
        "refused": [],
        "front": trials[1:3],
        "trials": trials,
        "latency_model": {
            "networks": 3,
            "mape": 2.16,
            "within_10": 1.0,
            "tau": 0.97,
            "fastest_ms": 0.01,
            "slowest_ms": 0.03,
            "predicted_ms": [0.01, 0.02, 0.03],
            "measured_ms": [0.011, 0.021, 0.029],
            "factors": {"float kernels": 1.05, "layers": 1e-13},
        },
        "accuracy_predictor": {
            "held_out": 2,
            "tau": 0.84,
            "split_half_tau": 0.73,
            "predicted": [96.0, 97.0],
            "measured": [96.5, 97.5],
        },
    }


def unverified(result: Result) -> Result:
    """The same run, answered from a table."""
    made = copy.deepcopy(result) | {"verified": False}
    for row in [*made["finalists"], *made["baselines"]]:
        row["latency_ms"] |= {"measured": None, "measured_upper": None}
    return made


def nothing_found(result: Result) -> Result:
    """The same run, under a budget that nothing keeps."""
    return copy.deepcopy(result) | {"budget": {"latency_ms": 0.011}, "budget_met": False, "chosen": None}


def empty(result: Result) -> Result:
    """A run that has found nothing at all."""
    made = nothing_found(result) | {name: [] for name in ("finalists", "baselines", "front", "trials")}
    made["accuracy_predictor"] |= {"predicted": [], "measured": []}
    made["latency_model"] |= {"predicted_ms": [], "measured_ms": []}
    return made
