"""A comparison as CSV, as text and as a page with curves."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping
from typing import Any

COLUMNS = (
    "strategy",
    "median_regret",
    "mean_regret",
    "p_against_random",
    "ri",
    "hypervolume",
    "wasted",
    "ms_per_proposal",
)


def as_csv(found: Mapping[str, Any]) -> str:
    """One line per strategy."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    writer.writerows([row[name] for name in COLUMNS] for row in found["strategies"])
    return text.getvalue()


def as_rows(found: Mapping[str, Any]) -> list[list[str]]:
    """The table for the terminal."""
    return [
        [
            row["strategy"],
            f"{row['median_regret']:.3f}",
            f"{row['mean_regret']:.3f}",
            "-" if row["strategy"] == "random" else f"{row['p_against_random']:.2g}",
            f"{row['ri']:+.2f} [{row['ri_interval'][0]:+.2f}, {row['ri_interval'][1]:+.2f}]",
            "-" if row["hypervolume"] is None else f"{100 * row['hypervolume']:.1f} %",
            f"{100 * row['wasted']:.1f} %",
            f"{row['ms_per_proposal']:.2f}",
        ]
        for row in found["strategies"]
    ]


def as_html(found: Mapping[str, Any]) -> str:
    """A page that works offline: median regret after each evaluation, one curve per strategy."""
    import plotly.graph_objects as go

    figure = go.Figure(
        [
            go.Scatter(x=list(range(1, len(row["curve"]) + 1)), y=row["curve"], name=row["strategy"], mode="lines")
            for row in found["strategies"]
        ]
    )
    figure.update_layout(
        title=f"Median regret of {found['seeds']} seeds: {found['score']}, searched by {found['objective']}",
        xaxis_title="evaluations",
        yaxis_title=f"regret, {found['score']}",
    )
    return str(figure.to_html(full_html=True, include_plotlyjs=True))
