"""``report.html``: one page of one run that needs nothing but itself."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping
from typing import Any

from nas.report import contract, figures, layers, models, words
from nas.report.markup import Html, data, figure, join, section, tag
from nas.report.plot import Figure
from nas.report.style import STYLE
from nas.report.words import Row

_DRAW = """
for (const block of document.querySelectorAll("script[data-figure]")) {
  const {data, layout} = JSON.parse(block.textContent);
  Plotly.newPlot(block.dataset.figure, data, layout, {displayModeBar: false, responsive: true});
}
"""


def html(result: Mapping[str, Any]) -> str:
    """The whole page of a result (the dict behind ``result.json``), as text to be written to ``report.html``.

    It loads nothing, and its content security policy forbids the browser to: only the two scripts written here run.
    """
    from plotly.offline import get_plotlyjs

    scripts = [get_plotlyjs(), _DRAW]
    body = [
        _header(result),
        contract.table(result),
        _front(result),
        models.latency(result),
        models.accuracy(result),
        layers.chosen(result),
        *(data(drawn, data_figure=name) for name, drawn in _figures(result).items()),
        *(Html(f"<script>{script}</script>") for script in scripts),
    ]
    head = [
        Html('<meta charset="utf-8">'),
        Html(f'<meta http-equiv="Content-Security-Policy" content="{_policy(scripts)}">'),
        Html('<meta name="viewport" content="width=device-width, initial-scale=1">'),
        tag("title", f"{result['run']}: report"),
        Html(f"<style>{STYLE}</style>"),
    ]
    page = tag("html", tag("head", join(head, "\n")), "\n", tag("body", join(body, "\n")), lang="en")
    return f"<!doctype html>\n{page}\n"


def _policy(scripts: list[str]) -> str:
    digests = [base64.b64encode(hashlib.sha256(s.encode()).digest()).decode() for s in scripts]
    allowed = " ".join(f"'sha256-{digest}'" for digest in digests)
    return (
        f"default-src 'none'; script-src {allowed}; style-src 'unsafe-inline'; img-src data: blob:; "
        "base-uri 'none'; form-action 'none'"
    )


def _figures(result: Row) -> dict[str, Figure]:
    return {"front": figures.front(result), "latency": figures.latency(result), "accuracy": figures.accuracy(result)}


def _header(result: Row) -> Html:
    space, seconds = result["space"], result["seconds"]
    stages = ", ".join(f"{stage} {value:,.1f}" for stage, value in seconds.items())
    facts = [
        ("space", f"{space['name']}, {space['size']:,} networks"),
        ("budget asked", words.budget(result["budget"])),
        ("budget met", _met(result)),
        ("seed", result["seed"]),
        ("device", ", ".join(f"{name} {value}" for name, value in result["device"].items())),
        (f"seconds measured ({sum(seconds.values()):,.1f} in all)", stages or "-"),
    ]
    search = result.get("settings", {}).get("search", {})
    if "strategy" in search:
        facts.append(("search", f"{search['strategy']}, {len(result['trials']):,} distinct networks tried"))
    return tag(
        "header",
        tag("h1", result["run"]),
        _verdict(result),
        tag("dl", *(tag("div", tag("dt", n), tag("dd", v), class_="wide" if n == "device" else "") for n, v in facts)),
        tag("p", "A stage whose work an earlier run had left in the store takes next to no time.", class_="note"),
    )


def _met(result: Row) -> str:
    met = words.chosen(result) is not None
    if met and not result["budget"]:
        return "none asked"
    return ("yes" if met else "no") + (", measured" if result["verified"] else ", predicted only: not verified here")


def _verdict(result: Row) -> Html:
    row = words.chosen(result)
    if row is None:
        known = "" if result["verified"] else f" ({words.unverified(result)})"
        return tag("p", tag("b", words.no_network(result), known, "."), class_="verdict bad")
    sentence = f"Network {row['key']} {_promise(row, result)}"
    notes = [f"{said}." for said in (*words.harm(result), *words.comparisons(result))]
    warnings = [
        f"The baseline {better['name']} keeps the budget too, and is better by the loss on the validation images "
        f"(quality {words.points(better['quality']['supernet'])} against {words.points(row['quality']['supernet'])})."
        for better in words.better_baselines(result)
    ]
    kind = "good" if result["verified"] else "warn"
    return join(
        [
            tag("p", tag("b", sentence), _quality(row, result["metric"]), class_=f"verdict {kind}"),
            tag("ul", *(tag("li", note) for note in notes), class_="note") if notes else "",
            *(tag("p", tag("b", warning), class_="warn") for warning in warnings),
        ]
    )


def _promise(row: Row, result: Row) -> str:
    latency, size = f"{words.bound_ms(row):.4f} ms", f"{words.kb(row['size_bytes'])} KB"
    asked = "" if not result["budget"] else f" (asked: {words.budget(result['budget'])})"
    if not result["verified"] or row["latency_ms"]["measured_upper"] is None:
        return f"is predicted to take {latency}, and has {size}{asked}; {words.unverified(result)}."
    return f"{'keeps the budget: it ' if asked else ''}takes at most {latency}, measured, and has {size}{asked}."


def _quality(row: Row, metric: Row) -> str:
    exported = row["quality"]["exported"]
    if exported is None:
        return ""
    return f" The exported file has {exported:.2f} {metric['unit']} {metric['name']} on the test images."


def _front(result: Row) -> Html:
    where = "latency measured, with a bar up to its upper bound" if result["verified"] else "latency predicted"
    said = (
        f"Trials and front are predicted, for the validation images. Finalists and baselines stand at the {where}, and "
        "the quality of the exported file on the test images; the two sets of images differ, so compare heights within "
        "one kind. Hover for details; drag to zoom; double-click to see all trials, again to come back."
    )
    drawing = figure("front", "Quality against latency of all networks")
    return section("Quality against latency", tag("p", said, class_="note"), drawing)
