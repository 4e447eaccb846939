"""The contract table: what was asked, predicted, measured and counted, for finalists and baselines."""

from __future__ import annotations

from collections.abc import Sequence

from nas.report import words
from nas.report.markup import Html, join, link, scrolled, section, tag
from nas.report.words import Row

_NOTE = (
    f"The budget is held against the measured upper bound. {words.SPLITS.capitalize()}. KB are 1,000 bytes. A "
    "container layer is stored in few bits and runs on the kernel of more bits; a simulated layer has a precision that "
    "no kernel of this device runs."
)


def table(result: Row) -> Html:
    """The table with its explanations."""
    note = (
        _NOTE
        if result["verified"]
        else f"{_NOTE} {words.unverified(result).capitalize()}; without a bound, the prediction counts."
    )
    limits, best = result["budget"], words.chosen(result)
    width = sum(span for _, span in _groups(result)) + 1
    finalists = [_row(r, r["key"], limits, r is best, asked=True) for r in result["finalists"]]
    baselines = [_row(r, r["name"], limits, False, asked=False) for r in result["baselines"]]
    body = []
    for name, rows in (("Finalists", finalists), ("Baselines", baselines)):
        title = tag("tr", tag("th", name, scope="rowgroup", colspan=str(width)))
        body.append(tag("tbody", title, *(rows or [tag("tr", tag("td", "none", class_="text", colspan=str(width)))])))
    refused = [tag("p", f"Not delivered: {words.refusal(one)}.", class_="note") for one in result["refused"]]
    return section(
        "Asked, predicted, measured", scrolled(_head(result), *body), tag("p", note, class_="note"), *refused
    )


def _groups(result: Row) -> list[tuple[str, int]]:
    metric = result["metric"]
    size = 2 if "size_bytes" in result["budget"] else 1
    return [("latency, ms", 4), (f"{metric['name']}, {metric['unit']}", 3), ("size, KB", size), ("layers", 2)]


def _head(result: Row) -> Html:
    groups = [tag("th", name, scope="colgroup", colspan=str(span), class_="group") for name, span in _groups(result)]
    size = ["asked of the file"] if "size_bytes" in result["budget"] else []
    numbers = ["asked", "predicted", "measured median", "measured upper bound"]
    numbers += ["predicted, validation", "measured in the supernet, validation", "measured on the exported file, test"]
    texts = ["by precision, counted; labels", "executed kernels, counted"]
    columns = [tag("th", n, scope="col") for n in [*numbers, *size, "counted, exported file"]]
    columns += [tag("th", t, scope="col", class_="text") for t in texts]
    return tag("thead", tag("tr", tag("td", rowspan="2"), *groups), tag("tr", *columns))


def _row(row: Row, name: str, limits: Row, chosen: bool, asked: bool) -> Html:
    latency, quality = row["latency_ms"], row["quality"]
    held = "predicted" if latency["measured_upper"] is None else "measured_upper"
    kept = {held: _kept(latency[held], limits.get("latency_ms"))}
    numbers: list[object] = [words.ms(limits.get("latency_ms") if asked else None)]
    numbers += [join([words.ms(latency[n]), kept.get(n, "")]) for n in ("predicted", "measured", "measured_upper")]
    numbers += [words.points(quality[form]) for form in ("predicted", "supernet", "exported")]
    numbers += [words.kb(limits["size_bytes"] if asked else None)] if "size_bytes" in limits else []
    numbers.append(join([words.kb(row["size_bytes"]), _kept(row["size_bytes"], limits.get("size_bytes"))]))
    texts: list[object] = [join([_items(words.precisions(row["architecture"])), _labels(row)]), _kernels(row)]
    mark = tag("span", "★ chosen", class_="mark good") if chosen else ""
    file = tag("span", link(row["model"], row["model"].split("/")[-1]), class_="mark") if row.get("model") else ""
    return tag(
        "tr",
        tag("th", tag("code", name) if asked else name, mark, file, scope="row"),
        *(tag("td", number) for number in numbers),
        *(tag("td", text, class_="text") for text in texts),
        class_="chosen" if chosen else "",
    )


def _kept(value: float, limit: float | None) -> Html:
    if limit is None:
        return Html("")
    if value <= limit:
        return tag("span", "✓ in budget", class_="mark good")
    return tag("span", "✗ over budget", class_="mark bad")


def _kernels(row: Row) -> Html:
    others = words.kernels(row, computing=False)
    main = _items(words.kernels(row) or "none of a layer")
    return tag("details", tag("summary", main), _items(others)) if others else main


def _items(listed: str) -> Html:
    """A list whose items stay on one line each."""
    return join((tag("span", item, class_="item") for item in listed.split(", ")), ", ")


def _labels(row: Row) -> Html:
    if "container" not in row or "simulated" not in row:
        return tag("span", "labels not recorded", class_="mark note")
    said = [_label("container", row["container"], "warn"), _label("simulated", row["simulated"], "bad")]
    return join(said)


def _label(name: str, found: Sequence[str], kind: str) -> Html:
    if not found:
        return Html("")
    return join(
        [
            tag("span", f"{name} ({len(found)})", class_=f"mark {kind}"),
            join((tag("code", path) for path in found), ", "),
        ]
    )
