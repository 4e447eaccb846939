"""Searching from Python: what the command line calls, and what notebooks use."""

from __future__ import annotations

import math
import shlex
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nas import experiment, files
from nas.run import EXPERIMENT, Run
from nas.terminal import Terminal


class Nothing(ValueError):
    """No measured network of a run keeps the budget; the message names the nearest."""


class Search:
    """A finished run. ``front``: the search's predicted front; ``chosen``: key of the network, or ``None``."""

    def __init__(self, run: Run, result: Mapping[str, Any]) -> None:
        self.run = run
        self._result = dict(result)

    def result(self) -> dict[str, Any]:
        """The dict behind ``result.json``."""
        return self._result

    @property
    def front(self) -> list[dict[str, Any]]:
        """Predicted quality and latency of the networks that no other one beats in both."""
        return list(self._result["front"])

    @property
    def chosen(self) -> str | None:
        """Key of the chosen network; ``None`` if nothing keeps the budget."""
        key = self._result["chosen"]
        return None if key is None else str(key)

    def export(self, out: str | Path, latency_ms: float | None = None, any_batch: bool = False) -> dict[str, Any]:
        """Copy the files of the best measured network within ``latency_ms`` (default: the run's budget) to ``out``;
        with ``any_batch`` also make one that takes any number of examples per call.

        Returns its row of the contract table. Raises :class:`Nothing` if no measured network is that fast, and
        ``ValueError`` if its model is not the file that was exported, or there is no such file.
        """
        limits = dict(self._result["budget"]) if latency_ms is None else {"latency_ms": latency_ms}
        row = best_row(self._result, limits, self.run.folder / EXPERIMENT)
        model = self.run.folder / row["model"]
        recorded = {record["key"]: record["sha256"] for record in self.run.ledger.of("export")}
        if files.file_digest(model) != recorded.get(row["key"]):
            raise ValueError(f"{model}: not the file that was exported, its SHA-256 differs [changed-file]")
        made = {}
        if any_batch:
            from nas import any_batch as other

            made[other.NAME] = other.any_batch(model.parent, model.name)
        for file in sorted(f for f in model.parent.iterdir() if not f.name.startswith(".")):  # kills leave .tmp files
            files.write_atomic(Path(out) / file.name, file.read_bytes())
        for name, data in made.items():
            files.write_atomic(Path(out) / name, data)
        return row


def best_row(result: Mapping[str, Any], limits: Mapping[str, float], source: Path) -> dict[str, Any]:
    """The best exported network, baseline or finalist, whose measured upper bound and size keep the limits.

    Raises :class:`Nothing`, which says how to search the experiment in ``source`` for one.
    """
    from nas.report import words
    from nas.stages.contract import choose

    row = choose([dict(network) for network in words.networks(result)], limits)
    if row is None:
        runs = source.parents[1]
        command = ["nas", "search", str(source), *([] if runs == Path("runs") else ["--runs", str(runs)])]
        tried = result["budget"].get("latency_ms")
        if "latency_ms" in limits and limits["latency_ms"] != tried:  # that search found nothing
            command += ["--latency-ms", f"{limits['latency_ms']:g}"]
        elif tried is not None:
            nearest = words.nearest(result)
            command += ["--latency-ms", f"{1.05 * (words.bound_ms(nearest) if nearest else 2 * tried):.4g}"]
        missed = words.no_network({**result, "budget": limits})
        raise Nothing(f"{result['run']}: {missed} [no-network]\n  hint: search for one: {shlex.join(command)}")
    return row


def search(
    space: str | Path,
    *,
    latency_ms: float | None = None,
    latency_share: float | None = None,
    seed: int = 0,
    runs: str | Path = "runs",
    table: str | Path | None = None,
    remeasure: bool = True,
    quiet: bool = True,
    plugins: Collection[str] = (),
) -> Search:
    """Search a ``space.yaml`` or zoo space for the best network within the budget; a new run in ``runs``.

    ``latency_ms`` or ``latency_share`` (of the largest float network's) replace the file's latency budget. ``table``:
    answer latencies from a recorded table; with ``remeasure=False`` nothing is timed, so that the same seed gives the
    same network.

    Raises:
        SpecError: the file is wrong; every problem is in the message, nothing was written.
    """
    from nas.pipeline import execute

    run = prepare(space, latency_ms, latency_share, seed, table, remeasure, plugins).start(Path(runs))
    return Search(run, execute(run, Terminal(quiet)))


@dataclass(frozen=True)
class Prepared:
    """A checked search, of which nothing is written yet. ``facts`` go into the first record of its run."""

    asked: experiment.Experiment
    facts: Mapping[str, Any]

    def start(self, runs: Path) -> Run:
        """A new run, its first record written."""
        return Run.create(runs, self.asked, dict(self.facts))


def prepare(
    space: str | Path, latency_ms: float | None, latency_share: float | None, seed: int,
    table: str | Path | None, remeasure: bool, plugins: Collection[str] = (),
) -> Prepared:  # fmt: skip
    """Check what a search is asked for; writes nothing."""
    if latency_ms is not None and latency_share is not None:
        raise ValueError("a budget has --latency-ms or --latency-share, not both [ambiguous]")
    for name, limit in (("latency_ms", latency_ms), ("latency_share", latency_share)):
        if limit is not None and not 0 < limit < math.inf:
            raise ValueError(f"{name} must be a finite number above 0, not {limit} [out-of-range]")
    asked = experiment.load(space, plugins).with_budget(latency_ms=latency_ms, latency_share=latency_share)
    if table is None and not remeasure:
        raise ValueError("--no-remeasure answers from recorded measurements: it needs --table FILE [missing-table]")
    _check_files(asked, seed, table, remeasure)
    facts: dict[str, Any] = {"seed": seed, "table": None, "remeasure": remeasure}
    if table is not None:
        facts |= {"table": str(Path(table).resolve()), "table_sha256": files.file_digest(Path(table))}
    return Prepared(asked, facts)


def _check_files(asked: experiment.Experiment, seed: int, table: str | Path | None, remeasure: bool) -> None:
    """Look at supernet, data and table once, so that what is wrong with them is said before anything is written."""
    import supernets
    from nas.stages import kernels
    from nas.stages.profile import read_table
    from nas.stages.train import dataset_of

    supernets.check(asked.space)
    asked.device.target().runtime.check(asked.searched)
    asked.train.recipe().check()
    dataset_of(asked, seed)
    if table is None:
        return
    others = kernels.recorded(Path(table))
    if others is None:
        read_table(Path(table), asked, seed)
        return
    if remeasure:
        raise ValueError(
            f"{table}: kernels of another device, on which nothing can be timed here [foreign-table]\n"
            "  hint: --no-remeasure searches by what they predict; the budget is then not verified"
        )
    kernels.needed(asked.searched, asked.device.target(), others, Path(table))


__all__ = ["Nothing", "Prepared", "Search", "best_row", "prepare", "search"]
