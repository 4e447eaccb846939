"""HTML out of data: every text is escaped unless it was made here."""

from __future__ import annotations

import html
import json
from collections.abc import Iterable, Sequence
from typing import Any
from urllib.parse import quote


class Html(str):
    """Text that is HTML already."""

    __slots__ = ()


def escape(text: object) -> Html:
    """Any text as HTML; HTML stays as it is."""
    return text if isinstance(text, Html) else Html(html.escape(str(text)))


def join(parts: Iterable[object], between: str = "") -> Html:
    """Parts one after the other, each escaped; ``between`` too."""
    return Html(escape(between).join(escape(part) for part in parts))


def tag(name: str, *children: object, **attributes: str) -> Html:
    """An element. A trailing underscore of an attribute's name is dropped, others become hyphens."""
    given = "".join(f' {k.rstrip("_").replace("_", "-")}="{escape(v)}"' for k, v in attributes.items() if v)
    return Html(f"<{name}{given}>{join(children)}</{name}>")


def section(title: object, *children: object) -> Html:
    """A part of the page under its heading."""
    return tag("section", tag("h2", title), *children)


def table(heads: Sequence[object], rows: Sequence[Sequence[object]]) -> Html:
    """A plain table; the first cell of a row names it."""
    body = [
        tag("tr", tag("th", row[0], scope="row"), *(tag("td", cell, class_="text") for cell in row[1:])) for row in rows
    ]
    head = tag("tr", *(tag("th", h, scope="col", class_="text") for h in heads))
    return scrolled(tag("thead", head), tag("tbody", *body))


def scrolled(*children: object) -> Html:
    """A table that scrolls sideways where the window is narrow."""
    return tag("div", tag("table", *children), class_="scroll", tabindex="0")


def figure(name: str, label: str) -> Html:
    """The place of a figure, drawn from the data block of this name."""
    missing = tag("noscript", f"{label}: drawn where JavaScript runs.")
    return tag("div", missing, id=name, class_="figure", role="img", aria_label=label)


def link(path: str, text: object) -> Html:
    """A link to a file beside the report. Whatever ``path`` holds, it leads to no other host and runs no script."""
    return tag("a", text, href="./" + quote(path.lstrip("/")))


def data(value: Any, **attributes: str) -> Html:
    """A JSON block for scripts to read. Nothing in it ends the block: ``<``, ``>`` and ``&`` are written as escapes."""
    text = json.dumps(value, allow_nan=False, separators=(",", ":"))
    for unsafe in "<>&":
        text = text.replace(unsafe, f"\\u{ord(unsafe):04x}")
    return tag("script", Html(text), type="application/json", **attributes)
