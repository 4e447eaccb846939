"""A run: one search with one budget, in a folder of its own."""

from __future__ import annotations

import difflib
from collections.abc import Collection
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from nas import experiment, files
from nas.experiment import MENU, Experiment
from nas.ledger import Ledger
from nas.own_model import OUTLINE, WEIGHTS
from nas.store import Store
from spaces import stored

LEDGER, RESULT, REPORT = "ledger.jsonl", "result.json", "report.html"
EXPERIMENT, LOG, STORE = "experiment.yaml", "log.jsonl", "store"


class NoSuchRun(ValueError):
    """There is no run of this name; the message names the nearest one."""


class Run:
    """``folder`` of a run. What it was asked for stands in the first record of its ledger, kind ``start``."""

    def __init__(self, folder: Path, plugins: Collection[str] = ()) -> None:
        self.folder = folder
        self.plugins = plugins
        self.name = folder.name
        self.ledger = Ledger(folder / LEDGER)

    @classmethod
    def create(cls, runs: Path, asked: Experiment, start: dict[str, Any]) -> Run:
        """A new folder ``<name>-<n>`` with the experiment and the ``start`` record (budget, seed, table …)."""
        folder = files.new_folder(runs, asked.space.name)
        if asked.own is not None:
            files.write_json(folder / OUTLINE, stored.to_json(asked.space))
            if asked.own.weights is not None:
                files.write_atomic(folder / WEIGHTS, asked.own.weights)
        if asked.device.menu is not None:
            files.write_json(folder / MENU, asked.device.menu.to_json(), indent=2)
        files.write_atomic(folder / EXPERIMENT, asked.resolved().encode())
        run = cls(folder, asked.plugins)
        run.ledger.append(
            "start", budget=dict(asked.search.budget), settings=asked.to_json(), plugins=list(asked.plugins), **start
        )
        return run

    @classmethod
    def open(cls, runs: Path, name: str, plugins: Collection[str] = ()) -> Run:
        """An existing run, by name or path. Raises :class:`NoSuchRun`.

        ``plugins`` as for a new run: that it was allowed code once is recorded, and allows none now.
        """
        folder = Path(name).resolve() if (Path(name) / LEDGER).exists() else runs / name
        if not (folder / LEDGER).exists():
            known = [f.name for f in list_runs(runs)]
            near = difflib.get_close_matches(name, known, n=1)
            hint = f"did you mean '{near[0]}'?" if near else f"runs in {runs}: {', '.join(known) or 'none'}"
            raise NoSuchRun(f"no run '{name}' in {runs} [unknown-run]\n  hint: {hint}")
        return cls(folder, plugins)

    @property
    def store(self) -> Store:
        """The store that its folder of runs shares."""
        return Store(self.folder.parent / STORE)

    @property
    def start(self) -> dict[str, Any]:
        """The ``start`` record. Raises :class:`NoSuchRun` if the run was killed before it was written."""
        record = self.ledger.last("start")
        if record is None:
            raise NoSuchRun(f"run '{self.name}' was stopped before it began; start it again [empty-run]")
        return record

    @property
    def table(self) -> Path | None:
        """The recorded latency table that answers in place of measurements. Raises ``ValueError`` if another one lies
        there now."""
        start = self.start
        if not start["table"]:
            return None
        path, digest = Path(start["table"]), start.get("table_sha256")  # runs of before kept none
        if digest is not None and path.exists() and files.file_digest(path) != digest:
            what = f"{path}: not the latency table that run '{self.name}' began with [wrong-table]"
            raise ValueError(f"{what}\n  hint: put that one back, or search anew")
        return path

    def artefact(self, stage: str) -> str | None:
        """Digest of the artefact of a stage that the run has begun to use."""
        record = self.ledger.last("artefacts")
        return None if record is None else record["digests"].get(stage)

    def experiment(self) -> Experiment:
        """What was asked for, budget of the command line included."""
        return experiment.load(self.folder / EXPERIMENT, self.plugins)

    def result(self) -> dict[str, Any] | None:
        """``result.json``, or ``None`` while the run is not done."""
        path = self.folder / RESULT
        return files.read_json(path) if path.exists() else None

    def log(self, text: str) -> None:
        """Add a line to ``log.jsonl``, with the time of day: for people, nothing reads it."""
        stamp = datetime.now(UTC).isoformat(timespec="seconds")
        files.append_line(self.folder / LOG, files.canonical_json({"time": stamp, "text": text}))

    def lock(self) -> files.Lock:
        """One process at a time works on a run."""
        return files.Lock(self.folder / "lock")


def list_runs(runs: Path) -> list[Path]:
    """Folders of runs, oldest number first within a name; one that was renamed counts as a name of its own."""

    def place(folder: Path) -> tuple[str, int, str]:
        name, _, number = folder.name.rpartition("-")
        return (name, int(number), "") if name and number.isdecimal() else (folder.name, 0, "")

    if not runs.exists():
        return []
    return sorted((f for f in runs.iterdir() if (f / LEDGER).exists()), key=place)
