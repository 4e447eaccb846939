"""``nas profile SPACE``: the latency table of a space on this device, as a search takes it, and as files."""

from __future__ import annotations

import csv
import io
from collections.abc import Collection
from pathlib import Path
from typing import Any

import supernets
from nas import experiment, files
from nas.run import STORE
from nas.stages.profile import profiled
from nas.store import Store
from nas.terminal import Terminal
from predictors.latency import Table
from predictors.latency.probe import METHOD
from supernets import threads

TABLE, HEADER = "table.csv", "table.json"
COLUMNS = ("key", "median_ms", "p20_ms", "spread", "rounds", "origin")


def profile(
    space: str | Path,
    minutes: float,
    seed: int = 0,
    runs: str | Path = "runs",
    plugins: Collection[str] = (),
    terminal: Terminal | None = None,
) -> tuple[Table, dict[str, Any]]:
    """Measure the latency table of a space for so many minutes more, if anything of it is not measured yet.

    Returns it with what is to be said about it. A search with the same folder of runs, space, device and seed takes it.
    """
    asked = experiment.load(space, plugins)
    supernets.check(asked.space)
    asked.device.target().runtime.check(asked.searched)
    store = Store(Path(runs) / STORE)
    with threads(1), (terminal or Terminal(quiet=True)).stage(1, f"profile (space {asked.space.name})") as progress:
        model, judged, entry = profiled(asked, seed, store, None, progress, minutes=minutes)
    assert entry is not None
    table = model.table
    return table, {
        "space": asked.space.name,
        "seed": seed,
        "rows": {"measured": len(table.rows), "predicted": len(table.predicted)},
        "networks": len(table.networks),
        "unseen": {name: judged[name] for name in ("networks", "mape", "within_5", "within_10", "tau")},
        "session_spread": table.spread,
        "device": table.device,
        "store": str(entry.path),
    }


def write(out: Path, table: Table, facts: dict[str, Any]) -> None:
    """``table.csv``, a line per row, and ``table.json``, which ``nas search --table`` reads, with digests."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    measured = {key: (t.median_ms, t.p20_ms, t.spread, t.rounds, "measured") for key, t in table.rows.items()}
    predicted = {key: (ms, "", "", "", "predicted") for key, ms in table.predicted.items()}
    writer.writerows((key, *row) for key, row in sorted({**predicted, **measured}.items()))
    digest = files.write_atomic(out / TABLE, text.getvalue().encode())
    whole = {**table.to_json(), "about": facts, "measuring": METHOD, "csv_sha256": digest}
    files.write_json(out / HEADER, {**whole, "digest": files.sha256(files.canonical_json(whole))})
