"""The card that travels with an exported network: what it is, how to run it, and what was asked and measured."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from nas.report import words
from nas.report.programs import PROGRAMS, program


def card(row: Mapping[str, Any], result: Mapping[str, Any]) -> str:
    """Markdown for one network ``row`` of ``result`` (the dict behind ``result.json``)."""
    role = "chosen" if row["key"] == result["chosen"] else row.get("name", "finalist")
    architecture = _table(["choice", "value"], list(row["architecture"].items()))
    return "\n\n".join(
        [
            f"# Network {row['key']} ({role})",
            f"From run {result['run']} of space {result['space']['name']}, seed {result['seed']}.",
            _table(["", ""], _facts(row, result)),
            f"## How latency is measured\n\n{_measured(result)}",
            f"## How to run it\n\n{_interface(result)}\n\n```python\n{_program(result)}```",
            f"## Architecture\n\n{architecture}\n",
        ]
    )


def _facts(row: Mapping[str, Any], result: Mapping[str, Any]) -> list[tuple[str, object]]:
    latency, quality, metric = row["latency_ms"], row["quality"], result["metric"]
    return [
        ("latency asked", _ms(result["budget"].get("latency_ms"), "none")),
        ("latency predicted", _ms(latency["predicted"])),
        ("latency measured (median of sessions)", _ms(latency["measured"])),
        ("latency measured, upper bound", _ms(latency["measured_upper"])),
        (f"{metric['name']}, validation, in the supernet", f"{quality['supernet']:.2f} {metric['unit']}"),
        (f"{metric['name']}, test, of the exported file", f"{quality['exported']:.2f} {metric['unit']}"),
        ("supernet, extracted network and file", row["agreement"]["said"]),
        ("size of the file", f"{row['size_bytes']} bytes"),
        ("executed kernels", ", ".join(f"{count} {op}" for op, count in sorted(row["kernels"].items()))),
        ("container precision (stored small, run on the 8-bit kernel)", ", ".join(row["container"]) or "none"),
        ("simulated precision (no kernel on this device)", ", ".join(row["simulated"]) or "none"),
    ]


def _measured(result: Mapping[str, Any]) -> str:
    more, of = 100 * (result["guard"] - 1), result["device"]
    runs = PROGRAMS[of["backend"]]
    device = ", ".join(f"{name} {value}" for name, value in of.items())
    besides = f"\n\n{runs.besides}" if runs.besides else ""
    verified = "" if result["verified"] else f"\n\nNot measured for this card: {words.unverified(result)}."
    if result["latency_model"].get("of") == "kernels":
        return verified.strip()
    return (
        f"Device: {device}.\n\n"
        f"The time of one call on {_counted(of['threads'], 'thread')} with {_counted(of['batch'], 'image')}, "
        f"{runs.bound}: the 20 % quantile of blocks of 1 ms, by the calling thread's processor time where one "
        "thread computes, in three fresh sessions at a time, networks taking turns. "
        "Times are scaled to the pace that the machine had when its latency table was measured, by networks of that "
        "table timed beside them. The upper bound is the slowest of three sessions, the second slowest of six, and "
        f"{more:.1f} % more."
        f"{besides}{verified}"
    )


def _interface(result: Mapping[str, Any]) -> str:
    about = dict(result["interface"])
    said = [f"Input `input`: {about.pop('input_type')} {tuple(about.pop('input_shape'))}{_range(about)}"]
    if "mean" in about:
        said[0] += f", minus {about['mean']:.6g}, over {about['deviation']:.6g}"
    if "classes" in about:
        said.append(f"The largest output of an image says its class; in order: {', '.join(about['classes'])}")
    known = ("mean", "deviation", "low", "high", "classes", "vocabulary")
    said += [f"{name}: {value}" for name, value in about.items() if name not in known]
    return ". ".join([*said, "The file's metadata holds all of this."])


def _program(result: Mapping[str, Any]) -> str:
    about = result["interface"]
    answer = "outputs.argmax(axis=1) if outputs.ndim == 2 else outputs.shape"
    return program(
        result["device"],
        inputs='(values - about["mean"]) / about["deviation"]' if "mean" in about else "values",
        values=_range(about),
        answer='[about["classes"][i] for i in outputs.argmax(axis=1)]' if "classes" in about else answer,
    )


def _range(about: Mapping[str, Any]) -> str:
    return f", from {about['low']:g} to {about['high']:g}" if "low" in about else ""


def _table(heads: list[str], rows: list[tuple[str, object]]) -> str:
    lines = [f"| {heads[0]} | {heads[1]} |", "|---|---|", *(f"| {name} | {value} |" for name, value in rows)]
    return "\n".join(lines)


def _counted(count: int, what: str) -> str:
    return f"one {what}" if count == 1 else f"{count} {what}s"


def _ms(value: float | None, none: str = "not measured") -> str:
    return none if value is None else f"{words.ms(value)} ms"
