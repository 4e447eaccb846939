"""The three figures of the report: quality against latency, and what each predictor is worth."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from nas.report import plot, words
from nas.report.plot import Figure
from nas.report.words import Row


def front(result: Row) -> Figure:
    """Predicted trials and front; finalists and baselines as measured; the latency budget as a line."""
    unit, best = str(result["metric"]["unit"]), words.chosen(result)
    finalists = [f for f in result["finalists"] if best is None or f["key"] != best["key"]]
    hollow = "" if result["verified"] else ", latency predicted"
    traces = [
        _predicted(
            "trials, predicted", result["trials"], unit, mode="markers", marker=plot.marker(plot.GREY, 5, opacity=0.5)
        ),
        _predicted(
            "front, predicted",
            result["front"],
            unit,
            mode="lines",
            line={"color": plot.BLUE, "width": 2, "shape": "hv"},
        ),
        _verified("baselines" + hollow, result["baselines"], unit, plot.marker(plot.GREEN, 11, "square")),
        _verified("finalists" + hollow, finalists, unit, plot.marker(plot.ORANGE, 11, "diamond")),
        _verified("chosen" + hollow, [best] if best else [], unit, plot.marker(plot.ORANGE, 19, "star")),
    ]
    _label(traces[2], [b["name"] for b in result["baselines"] if _quality(b) is not None])
    layout = plot.layout("latency of one call, ms", f"{result['metric']['name']}, {unit}")
    layout["xaxis"] |= {"type": "log", "tickformat": "~g", "dtick": "D2"}
    layout["yaxis"]["range"] = _upper_part(result)
    limit = result["budget"].get("latency_ms")
    layout["shapes"] = [] if limit is None else [_line(limit)]
    return {"data": [t for t in traces if t["x"]], "layout": layout}


def latency(result: Row) -> Figure:
    """Predicted against measured latency: networks the model had not seen, and what this search found."""
    model = result["latency_model"]
    pairs = [(p, m) for p, m in zip(model["predicted_ms"], model["measured_ms"], strict=True)]
    found = [(r["latency_ms"]["predicted"], r["latency_ms"]["measured"]) for r in result["finalists"]]
    found = [(p, m) for p, m in found if m is not None]
    figure = _calibration(
        {f"unseen {model.get('of', 'networks')}": pairs, "finalists of this search": found}, "latency, ms", ".4f"
    )
    low, high = figure["layout"]["xaxis"]["range"]
    band = {"mode": "lines", "hoverinfo": "skip", "line": {"color": plot.GREY, "width": 1, "dash": "dot"}}
    for share, shown in ((1.1, True), (0.9, False)):
        y = [share * low, share * high]
        figure["data"].append(
            {"type": "scatter", "name": "10 % off", "x": [low, high], "y": y, "showlegend": shown, **band}
        )
    return figure


def accuracy(result: Row) -> Figure:
    """Predicted against measured quality of held-out subnets."""
    model, metric = result["accuracy_predictor"], result["metric"]
    pairs = list(zip(model["predicted"], model["measured"], strict=True))
    return _calibration({"held-out subnets": pairs}, f"{metric['name']}, {metric['unit']}", ".2f")


def _calibration(named: Mapping[str, Sequence[tuple[float, float]]], quantity: str, digits: str) -> Figure:
    values = [value for pairs in named.values() for pair in pairs for value in pair] or [0.0, 1.0]
    margin = 0.04 * (max(values) - min(values)) or 0.01 * abs(max(values)) or 1.0
    ends = [min(values) - margin, max(values) + margin]
    diagonal = {"mode": "lines", "hoverinfo": "skip", "line": {"color": plot.GREY, "width": 1.5}}
    traces = [{"type": "scatter", "name": "predicted = measured", "x": ends, "y": ends, **diagonal}]
    looks = (plot.marker(plot.BLUE, 8, "circle"), plot.marker(plot.ORANGE, 10, "diamond"))
    for (name, pairs), marker in zip(named.items(), looks, strict=False):
        said = [f"predicted {p:{digits}}<br>measured {m:{digits}}" for p, m in pairs]
        x, y = [m for _, m in pairs], [p for p, _ in pairs]
        if pairs:
            traces.append(plot.points(f"{name} ({len(pairs)})", x, y, said, mode="markers", marker=marker))
    layout = plot.layout(f"measured {quantity}", f"predicted {quantity}")
    layout["xaxis"]["range"] = layout["yaxis"]["range"] = ends
    return {"data": traces, "layout": layout}


def _predicted(name: str, rows: Sequence[Row], unit: str, **look: Any) -> Figure:
    said = [
        f"{plot.safe(r['key'])}<br>predicted: {r['latency_ms']:.4f} ms, {r['quality']:.2f} {plot.safe(unit)}"
        f"<br>counted: {words.kb(r['size_bytes'])} KB"
        for r in rows
    ]
    return plot.points(
        f"{name} ({len(rows)})", [r["latency_ms"] for r in rows], [r["quality"] for r in rows], said, **look
    )


def _verified(name: str, rows: Sequence[Row], unit: str, marker: Figure) -> Figure:
    shown = [r for r in rows if _quality(r) is not None]
    times = [r["latency_ms"] for r in shown]
    x = [t["predicted"] if t["measured"] is None else t["measured"] for t in times]
    above = [0 if None in (t["measured"], t["measured_upper"]) else t["measured_upper"] - t["measured"] for t in times]
    bars = {
        "type": "data",
        "symmetric": False,
        "array": above,
        "arrayminus": [0] * len(x),
        "thickness": 1.5,
        "width": 3,
    }
    said = [_hover(r, unit) for r in shown]
    return plot.points(name, x, [_quality(r) for r in shown], said, mode="markers", marker=marker, error_x=bars)


def _label(trace: Figure, names: Sequence[str]) -> None:
    """Write names beside points: where points crowd or the figure ends, to the left."""
    ends = {min(trace["x"], default=None), max(trace["x"], default=None)}
    trace["text"] = [f" {plot.safe(name)} " for name in names]
    trace["textposition"] = [f"middle {'left' if x in ends else 'right'}" for x in trace["x"]]
    trace |= {"mode": "markers+text", "cliponaxis": False}


def _hover(row: Row, unit: str) -> str:
    time, quality = row["latency_ms"], row["quality"]
    return "<br>".join(
        [
            plot.safe(f"{row['name']}: {row['key']}" if "name" in row else row["key"]),
            plot.safe(words.precisions(row["architecture"])),
            f"predicted: {words.ms(time['predicted'])} ms, {words.points(quality['predicted'])} {plot.safe(unit)}",
            f"measured: {words.ms(time['measured'])} ms, at most {words.ms(time['measured_upper'])} ms",
            f"supernet: {words.points(quality['supernet'])} {plot.safe(unit)} of validation",
            f"exported: {words.points(quality['exported'])} {plot.safe(unit)} of test",
            f"counted: {words.kb(row['size_bytes'])} KB",
        ]
    )


def _quality(row: Row) -> float | None:
    """Height in the front figure: of the exported file; in the supernet, if the file was not tested."""
    quality = row["quality"]
    value: float | None = quality["supernet"] if quality["exported"] is None else quality["exported"]
    return value


def _upper_part(result: Row) -> list[float] | None:
    """A first view of the qualities worth comparing: the better three quarters of the trials, all that is verified."""
    trials = sorted(t["quality"] for t in result["trials"])
    rows = [*result["finalists"], *result["baselines"]]
    values = trials[len(trials) // 4 :] + [q for r in rows if (q := _quality(r)) is not None]
    if not values:
        return None
    margin = 0.05 * (max(values) - min(values)) or 1.0
    return [min(values) - margin, max(values) + margin]


def _line(limit: float) -> Figure:
    label: Figure = {
        "text": f"budget {limit:.4f} ms",
        "textposition": "end",
        "textangle": 0,
        "xanchor": "left",
        "yanchor": "top",
    }
    look = {"color": plot.PINK, "width": 2, "dash": "dash"}
    return {"type": "line", "x0": limit, "x1": limit, "y0": 0, "y1": 1, "yref": "paper", "line": look, "label": label}
