"""One network layer by layer, as its architecture says: grouped by stage, with what each layer inherits."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby
from typing import Any

from nas.report import words
from nas.report.markup import Html, join, link, scrolled, section, tag
from nas.report.words import Row

Own = dict[str, dict[str, Any]]  # path -> attribute -> value, as chosen at that path
_FIRST = ("width", "kernel", "precision")


def chosen(result: Row) -> Html:
    """The chosen network; the nearest one, if none keeps the budget."""
    row, title = words.chosen(result), "The chosen network"
    if row is None:
        row, title = words.nearest(result), "The nearest network"
    if row is None:
        return section(title, tag("p", "No network was verified."))
    facts: list[object] = [tag("code", row["key"])]
    if row.get("agreement") is not None:
        facts.append(f"supernet, extracted network and file, measured: {row['agreement']['said']}")
    if row.get("model"):
        facts.append(link(row["model"], row["model"]))
    return section(f"{title}, layer by layer", tag("p", join(facts, " · ")), _table(row))


def _table(row: Row) -> Html:
    own: Own = {}
    for name, value in row["architecture"].items():
        path, _, attribute = name.rpartition(".")
        own.setdefault(path, {})[attribute] = value
    marks = {name: row.get(name) or [] for name in ("container", "simulated")}
    leaves = _leaves(own, [path for paths in marks.values() for path in paths])
    named = dict.fromkeys([*_FIRST, *(name for path in leaves for name in _inherited(own, path))])
    columns = [name for name in named if any(name in _inherited(own, path) for path in leaves)]
    bodies = []
    for group, paths in groupby(leaves, _group):
        rows = [_layer(path, own, columns, marks) for path in paths]
        bodies.append(tag("tbody", _title(group, own, len(columns) + 2) if group not in leaves else "", *rows))
    heads = ["layer", *columns, "runs as"]
    return scrolled(tag("thead", tag("tr", *(tag("th", h, scope="col", class_="text") for h in heads))), *bodies)


def _leaves(own: Own, marked: Sequence[str]) -> list[str]:
    """Paths with choices of their own and none deeper, and marked layers that lie in none of them."""
    leaves = [path for path in own if path and not any(_under(other, path) for other in own if other != path)]
    return leaves + [m for m in dict.fromkeys(marked) if not any(_under(m, path) for path in leaves)]


def _under(path: str, above: str) -> bool:
    return path == above or path.startswith(above + ".")


def _group(path: str) -> str:
    """``stages.0`` of ``stages.0.1.conv``; a path without a number is its own group."""
    parts = path.split(".")
    return ".".join(parts[:2]) if len(parts) > 1 and parts[1].isdecimal() else parts[0]


def _inherited(own: Own, path: str) -> dict[str, Any]:
    """What is chosen for a layer, at its path or above; a depth is of a stage, not of its layers."""
    parts = path.split(".")
    values: dict[str, Any] = dict(own.get("", {}))
    for end in range(1, len(parts) + 1):
        values |= own.get(".".join(parts[:end]), {})
    return {name: value for name, value in values.items() if name != "depth"}


def _title(group: str, own: Own, width: int) -> Html:
    chosen = ", ".join(f"{name} {value}" for name, value in own.get(group, {}).items())
    title = tag("th", tag("code", group), f" {chosen}", scope="rowgroup", colspan=str(width))
    return tag("tr", title)


def _layer(path: str, own: Own, columns: Sequence[str], marks: dict[str, Sequence[str]]) -> Html:
    values = _inherited(own, path)
    labels = [_label(path, name, found) for name, found in marks.items()]
    cells = [values.get(name, "-") for name in columns] + [join(label for label in labels if label) or "as chosen"]
    return tag("tr", tag("th", tag("code", path), scope="row"), *(tag("td", c, class_="text") for c in cells))


def _label(path: str, name: str, found: Sequence[str]) -> Html:
    inside = [layer for layer in found if _under(layer, path)]
    if not inside:
        return Html("")
    deeper = ", ".join(layer.removeprefix(path + ".") for layer in inside if layer != path)
    return tag(
        "span", f"{name}: {deeper}" if deeper else name, class_="mark " + ("warn" if name == "container" else "bad")
    )
