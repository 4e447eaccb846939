"""The card that travels with an exported network: what was asked, predicted and measured, and on what."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

_NOT_MEASURED = "not measured"


def card(row: Mapping[str, Any], result: Mapping[str, Any]) -> str:
    """Markdown for one finalist ``row`` of ``result`` (the dict behind ``result.json``)."""
    latency, quality, metric = row["latency_ms"], row["quality"], result["metric"]
    asked = result["budget"].get("latency_ms")
    device = ", ".join(f"{name} {value}" for name, value in result["device"].items())
    rows = [
        ("latency asked", _ms(asked)),
        ("latency predicted", _ms(latency["predicted"])),
        ("latency measured (median of sessions)", _ms(latency["measured"])),
        ("latency measured, upper bound", _ms(latency["measured_upper"])),
        (f"{metric['name']}, validation, in the supernet", f"{quality['supernet']:.2f} {metric['unit']}"),
        (f"{metric['name']}, test, of the exported file", f"{quality['exported']:.2f} {metric['unit']}"),
        ("top-1 agreement of supernet, extracted network and file", f"{100 * row['top1_agreement']:.2f} %"),
        ("size of the file", f"{row['size_bytes']} bytes"),
        ("executed kernels", ", ".join(f"{count} {op}" for op, count in sorted(row["kernels"].items()))),
        ("container precision (stored small, run on the 8-bit kernel)", ", ".join(row["container"]) or "none"),
        ("simulated precision (no kernel on this device)", ", ".join(row["simulated"]) or "none"),
    ]
    table = "\n".join(f"| {name} | {value} |" for name, value in rows)
    layers = "\n".join(f"| {name} | {value} |" for name, value in row["architecture"].items())
    chosen = "chosen" if row["key"] == result["chosen"] else "finalist"
    return (
        f"# Network {row['key']} ({chosen})\n\nFrom run {result['run']} of space {result['space']['name']}, "
        f"seed {result['seed']}.\n\nDevice: {device}\n\n| | |\n|---|---|\n{table}\n\n"
        f"## Architecture\n\n| choice | value |\n|---|---|\n{layers}\n"
    )


def _ms(value: float | None) -> str:
    return _NOT_MEASURED if value is None else f"{value:.4f} ms"
