"""Traces and layout as plotly.js reads them.

plotly.js takes texts for a small markup language of its own, so texts go through :func:`safe`.
"""

from __future__ import annotations

import html
from typing import Any

Figure = dict[str, Any]

# Told apart by shape as well as by colour; readable on white and on black.
GREY, BLUE, ORANGE, GREEN, PINK = "#8b929c", "#3b82c4", "#d9622b", "#25976a", "#c2458f"


def points(name: str, x: list[Any], y: list[Any], said: list[str], **look: Any) -> Figure:
    """A trace of points or a line; ``said`` is shown where the mouse is, as plotly's markup."""
    return {"type": "scatter", "name": safe(name), "x": x, "y": y, "hovertext": said, "hoverinfo": "text", **look}


def marker(colour: str, size: int, symbol: str = "circle", opacity: float = 1.0) -> Figure:
    """How a point looks."""
    return {"color": colour, "size": size, "symbol": symbol, "opacity": opacity}


def layout(x: str, y: str) -> Figure:
    """What all figures share. ``x`` and ``y`` name the axes."""
    clear = "rgba(0,0,0,0)"
    axis = {"automargin": True, "zeroline": False, "gridcolor": "rgba(128,136,150,0.25)"}
    return {
        "xaxis": {**axis, "title": {"text": safe(x)}},
        "yaxis": {**axis, "title": {"text": safe(y), "standoff": 12}},
        "font": {"family": "system-ui, sans-serif", "size": 13},
        "legend": {"orientation": "h", "y": 1.02, "yanchor": "bottom", "x": 0},
        "margin": {"l": 60, "r": 20, "t": 20, "b": 50},
        "hoverlabel": {"align": "left"},
        "hovermode": "closest",
        "paper_bgcolor": clear,
        "plot_bgcolor": clear,
    }


def safe(text: object) -> str:
    """A text that plotly shows as it is."""
    return html.escape(str(text), quote=False)
