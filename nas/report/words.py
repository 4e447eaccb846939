"""Numbers and sentences about a result, the same on the terminal and in the report."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

Row = Mapping[str, Any]

SPLITS = (
    "quality: predicted and supernet are of the validation images, by whose loss, measured and predicted, networks are "
    "chosen; exported is of the test images, seen once"
)
_RUNTIMES = ("onnxruntime", "openvino", "torch")


def unverified(result: Row) -> str:
    """Of a search that timed nothing: where its latencies are from."""
    model = result["latency_model"]
    if model.get("of") == "kernels":
        said = f"not verified: latencies are sums of kernels of another device ({model['table']})"
        far = f"; {model['beyond']} of the space's {model['kernels']} lie beyond all that was timed of their kind"
        return f"{said}{far + ', their times are guesses' if model['beyond'] else ''}"
    return "not verified here: latencies are answered from recorded measurements"


def ms(value: float | None) -> str:
    """Milliseconds with four decimals, or as many as a tiny number needs, without the unit."""
    if value is None:
        return "-"
    return f"{value:.4f}" if value >= 0.001 or not value else f"{value:.2g}"


def points(value: float | None) -> str:
    """A quality with two decimals, without the unit."""
    return "-" if value is None else f"{value:.2f}"


def kb(value: float | None) -> str:
    """Bytes as KB of 1,000 bytes, without the unit."""
    return "-" if value is None else f"{value / 1000:.1f}"


def kernels(row: Row, computing: bool = True) -> str:
    """Executed kernels of a network with their counts: those that run its layers, or all others."""
    known = row.get("computing", row["kernels"])
    return ", ".join(f"{count} {op}" for op, count in sorted(row["kernels"].items()) if (op in known) is computing)


def runtime(device: Mapping[str, Any]) -> str:
    """Which runtime of what version, from a device's fingerprint."""
    versions = [f"{name} {device[name]}" for name in _RUNTIMES if name in device]
    floats = f", floats in {device['floats']}" if "floats" in device else ""
    return f"{device['backend']} ({', '.join(versions)}{floats})"


def precisions(architecture: Mapping[str, Any]) -> str:
    """How often an architecture chooses each precision, the most frequent first."""
    chosen = (str(value) for name, value in architecture.items() if name.split(".")[-1] == "precision")
    return ", ".join(f"{count} {name}" for name, count in Counter(chosen).most_common())


def budget(limits: Mapping[str, float]) -> str:
    """The limits of a budget."""
    return ", ".join(_limit(name, limit) for name, limit in limits.items()) or "none"


def _limit(name: str, limit: float) -> str:
    if name == "latency_ms":
        return f"latency at most {ms(limit)} ms"
    return f"size at most {limit:,.0f} bytes" if name == "size_bytes" else f"{name} at most {limit:.6g}"


def chosen(result: Row) -> Row | None:
    """The finalist that was chosen, if one was."""
    return next((row for row in result["finalists"] if row["key"] == result["chosen"]), None)


def bound_ms(row: Row) -> float:
    """The latency that is held against the budget: the measured upper bound; the prediction, if none was measured."""
    latency = row["latency_ms"]
    return float(latency["predicted"] if latency["measured_upper"] is None else latency["measured_upper"])


def fill(row: Row, limits: Mapping[str, float]) -> float:
    """The largest share of a limit that a network takes; at most 1 if it keeps the budget."""
    values = {**row.get("costs", {}), "latency_ms": bound_ms(row), "size_bytes": row["size_bytes"]}
    return max((values[name] / limit for name, limit in limits.items() if name in values), default=0.0)


def networks(result: Row) -> list[Row]:
    """All networks that were measured, each once: finalists, then baselines, which have a name."""
    found: dict[str, Row] = {}
    for row in (*result["finalists"], *result["baselines"]):
        found.setdefault(row["key"], row)
    return list(found.values())


def nearest(result: Row) -> Row | None:
    """The measured network that keeps the budget best, or misses it least, whoever found it."""
    return min(networks(result), key=lambda row: fill(row, result["budget"]), default=None)


def no_network(result: Row) -> str:
    """That nothing keeps the budget, and what comes nearest."""
    said = f"NO network keeps the budget ({budget(result['budget'])})"
    row = nearest(result)
    if row is None:
        return f"{said}; none could be verified"
    over = 100 * (fill(row, result["budget"]) - 1)
    known = "predicted" if row["latency_ms"]["measured_upper"] is None else "at most"
    values = f"{known} {ms(bound_ms(row))} ms, {kb(row['size_bytes'])} KB"
    name = f"{row['key']} ({row['name']})" if "name" in row else row["key"]
    return f"{said}; the nearest is {name}: {values}, {over:.1f} % over"


def refusal(refused: Row) -> str:
    """Why a network was not delivered."""
    return f"{refused['key']}, because {refused['reason']}"


def harm(result: Row) -> list[str]:
    """Which precisions of the chosen network were changed because another one cost no more and was no worse."""
    done = result.get("do_no_harm")
    if not done or not done["changes"]:
        return []
    changes = ", ".join(f"{c['choice']} from {c['from']} to {c['to']}" for c in done["changes"])
    return [f"do no harm: of {done['of']} {changes}" + ("" if done["kept"] else "; measured slower, and not kept")]


def comparisons(result: Row) -> list[str]:
    """The chosen network against each baseline that was measured."""
    mine, unit = chosen(result), result["metric"]["unit"]
    return [] if mine is None else [c for b in result["baselines"] if (c := _against(mine, b, unit)) is not None]


def _against(mine: Row, baseline: Row, unit: str) -> str | None:
    here, there = mine["latency_ms"]["measured"], baseline["latency_ms"]["measured"]
    if here is None or not there:
        return None
    said = f"chosen against {baseline['name']}: {100 * here / there:.0f} % of its latency"
    ours, theirs = mine["quality"]["exported"], baseline["quality"]["exported"]
    if ours is None or theirs is None:
        return said
    return f"{said}, {ours - theirs:+.2f} {'points' if unit == '%' else unit}"


def better_baselines(result: Row) -> Sequence[Row]:
    """Baselines that keep the budget too and are better, as networks are compared, than what was chosen."""
    mine = chosen(result)
    if mine is None or mine["quality"]["supernet"] is None:
        return []
    kept = [b for b in result["baselines"] if fill(b, result["budget"]) <= 1 and b["quality"]["supernet"] is not None]
    return [b for b in kept if order(b)[:2] > order(mine)[:2]]


def order(row: Row) -> tuple[float, float, str]:
    """To compare networks as they are chosen: by score (:meth:`nas.stages.verifier.Verifier.score`), then by quality on
    the validation images."""
    return row.get("score", -math.inf), row["quality"]["supernet"], row["key"]
