"""What can be asked for: names, senses and units of objectives."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Objective:
    """``sense``: ``max`` or ``min``."""

    name: str
    sense: str
    unit: str


OBJECTIVES = {
    o.name: o
    for o in (
        Objective("quality", "max", ""),
        Objective("latency_ms", "min", "ms"),
        Objective("size_bytes", "min", "bytes"),
        Objective("parameters", "min", ""),
        Objective("macs", "min", ""),
        Objective("energy_pj", "min", "pJ"),
        Objective("bit_operations", "min", ""),
        Objective("bit_operations_with_sums", "min", ""),
        Objective("peak_activation_bytes", "min", "bytes"),
    )
}
