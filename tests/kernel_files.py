"""Times of layers in the words of nn-Meter's files."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from predictors.latency.key import BoundaryKey, Key, LayerKey

_NAMES = {"linear": "fc", "pool": "global-avgpool", "avg_pool": "avgpool", "max_pool": "maxpool"}
_AFTER = {"none": "", "relu": "-relu", "relu6": "-relu6", "hard_swish": "-hswish", "swish": "-swish"}


def kernel(key: Key) -> tuple[str, dict[str, Any]]:
    """(name, shapes) of a key of a family's network."""
    if isinstance(key, BoundaryKey):
        return key.op, {"HW": key.h, "CIN": key.c}
    assert isinstance(key, LayerKey)
    name = _NAMES.get(key.op, key.op)
    if key.op == "conv":
        name = "dwconv-bn" if key.groups > 1 else "conv-bn"
    shapes = {"HW": key.h, "CIN": key.c_in, "COUT": key.c_out, "KERNEL_SIZE": key.kernel}
    shapes |= {"POOL_STRIDES" if "pool" in name else "STRIDES": key.stride}
    precision = {"PRECISION": "w8a8"} if key.source == "u8" else {}
    return name + _AFTER[key.activation], {**shapes, **precision}


def as_file(ms: Mapping[Key, float]) -> dict[str, dict[str, Any]]:
    """What stands in a JSON file: shapes and times. Keys that differ in what they give are one kernel: the first."""
    made: dict[str, dict[str, Any]] = {}
    for i, (key, time) in enumerate(ms.items()):
        name, config = kernel(key)
        if any(said["config"] == config for said in made.get(name, {}).values()):
            continue
        made.setdefault(name, {})[f"K{i:05d}"] = {"config": config, "latency": f"{time!r} +- 0.01"}
    return made
