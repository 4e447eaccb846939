"""Stage 3: the latency table of the space on this device, and the latency model fitted on it."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from nas import files
from nas.experiment import Experiment
from nas.problems import A_TABLE, of_disk
from nas.stages import kernels
from nas.store import Entry, Store
from nas.terminal import Progress
from predictors.latency import LatencyModel, Table, TableError, fit, fit_whole, networks_to_time, profile
from predictors.latency.plan import ORDER, distinct_keys
from predictors.metrics import errors
from spaces import Architecture
from spaces.randomness import generator

FITTED = {True: (48, 12, 0), False: (24, 12, 30)}  # networks: mixed, uniform, shallow; with rows of layers or without
HELD_OUT = 24
LEAST_FITTED, LEAST_JUDGED = 12, 8  # timed networks without which there is no model
MINUTES, MEASURING = 3.0, 0.95  # what is not measuring is predicting what was not measured
TABLE, TIMINGS = "table.json", "timings.json"
IMPORTED = "imported latency table 1"  # schema of what others measured


def to_time(asked: Experiment, seed: int) -> tuple[list[Architecture], list[Architecture]]:
    """(the networks that the latency model is fitted on, those that it is judged by)."""
    target = asked.device.target()
    kernels = sorted(set(target.menu.values()), reverse=True)
    fitted = networks_to_time(asked.searched, seed, *FITTED[target.runtime.ADDITIVE], kernels)
    return fitted, held_out(asked, seed, fitted)


def held_out(asked: Experiment, seed: int, fitted: Sequence[Architecture]) -> list[Architecture]:
    """Networks drawn uniformly from the space that the fit does not see; they judge the model.

    Where the space has no others, some that it does see.
    """
    drawn = asked.searched.sample_many(4 * HELD_OUT, generator(seed, "profile.held out"))
    return [a for a in dict.fromkeys(drawn) if a not in fitted][:HELD_OUT] or list(fitted[::4])


def table_entry(asked: Experiment, seed: int, store: Store, used: str | None = None) -> Entry:
    """Where the table of this experiment and seed is, measured on this device, or where it belongs.

    A table that is measured on is an entry of its own, made ``after`` the one before: the last one that is complete, or
    the one of the digest ``used``.
    """
    fitted, judged = to_time(asked, seed)
    networks = files.sha256("".join(a.key for a in (*fitted, *judged)).encode())[:16]
    device = asked.device.target().fingerprint()
    entry = store.entry(
        "profile", {"space": asked.searched.digest, "device": device, "networks": networks, "order": ORDER}
    )
    while entry.complete and entry.digest != used and (after := _after(store, entry)).complete:
        entry = after
    return entry


def _after(store: Store, entry: Entry) -> Entry:
    return store.entry("profile", {**entry.inputs, "after": entry.digest})


def profiled(
    asked: Experiment,
    seed: int,
    store: Store,
    table_file: Path | None,
    progress: Progress,
    used: str | None = None,
    minutes: float | None = None,
) -> tuple[LatencyModel, dict[str, Any], Entry | None]:
    """(the model, its error on networks it has not seen, the table's entry in the store if it was measured here).

    ``used``: digest of the table that a run has begun with, and keeps. With ``minutes`` a table of which rows are
    predicted is measured for so long once more; without, only where there is none yet, for ``MINUTES``. Raises
    ``TableError`` if ``table_file`` is given and does not hold what is needed, or the time did not suffice.
    """
    space, target = asked.searched, asked.device.target()
    if table_file is not None and (recorded := kernels.recorded(table_file)) is not None:
        model, facts = kernels.priced(space, target, recorded, table_file)
        progress.outcome = f"sums of {len(recorded.keys)} kernels of {table_file}, nothing measured"
        return model, facts, None
    fitted, judged = to_time(asked, seed)
    if table_file is not None:
        entry, table = None, read_table(table_file, asked, seed)
        progress.outcome = f"answered from {table_file}"
    else:
        entry, table = _measured(asked, seed, (fitted, judged), store, progress, used, minutes)
    if table.predicted and table.interpolation is None:  # for keys that no draw has met
        table = table.completed(distinct_keys(space, target))
    fitting = fit if target.runtime.ADDITIVE else fit_whole
    model = fitting(space, table, target.menu, target.batch, _timed(table, fitted))
    facts = judge(model, _timed(table, judged))
    if progress.outcome is None:
        predicted = f" and {len(table.predicted)} predicted" if table.predicted else ""
        rows = f"{len(table.rows)} rows{predicted}, " if table.rows else ""
        progress.outcome = (
            f"{rows}{len(table.networks)} networks; error on {facts['networks']} unseen "
            f"networks of {facts['fastest_ms']:.4f} to {facts['slowest_ms']:.4f} ms: {facts['mape']:.1f} %, "
            f"tau {facts['tau']:.2f}; sessions differ by {100 * table.spread:.1f} %"
        )
    return model, facts, entry


def _measured(
    asked: Experiment, seed: int, networks: tuple[list[Architecture], list[Architecture]], store: Store,
    progress: Progress, used: str | None, minutes: float | None,
) -> tuple[Entry, Table]:  # fmt: skip
    """The table in its entry. ``networks``: those that the model is fitted on, and those that it is judged by."""
    space, target = asked.searched, asked.device.target()
    end = time.monotonic() + 60 * MEASURING * (MINUTES if minutes is None else minutes)
    entry, before, interpolation = table_entry(asked, seed, store, used), None, None
    if entry.complete and minutes and entry.facts["predicted"]:
        entry, before = _after(store, entry), entry
    with entry.lock():
        if not entry.complete:
            partial = _Partial(entry, before)
            table = profile(
                space, target, [*networks[0], *networks[1]], partial,
                lambda done, total: progress("model", done, total), lambda: end - time.monotonic(),
            )  # fmt: skip
            if not _enough(table, *networks):
                raise TableError(
                    f"space {space.name}: {len(table.networks)} networks were timed, too few for a latency model "
                    "[too-little-time]\n  hint: go on with more --minutes; what was timed is kept"
                )
            entry.write(TABLE, files.canonical_json(table.to_json()))
            entry.write_json(TIMINGS, partial.load())
            entry.finish(rows=len(table.rows), predicted=len(table.predicted), networks=len(table.networks))
            interpolation = table.interpolation
    # As it is read back, also now: a run that is resumed must meet the very same numbers in the same order.
    return entry, replace(Table.from_json(entry.read_json(TABLE), str(entry.path / TABLE)), interpolation=interpolation)


def _timed(table: Table, networks: Sequence[Architecture]) -> list[Architecture]:
    return [a for a in networks if a.to_json() in table.networks]


def _enough(table: Table, fitted: Sequence[Architecture], judged: Sequence[Architecture]) -> bool:
    """Whether the largest network is timed, and enough others to fit a model and to judge it."""
    least = ((fitted[:1], 1), (fitted, LEAST_FITTED), (judged, LEAST_JUDGED))
    return all(len(_timed(table, networks)) >= min(count, len(networks)) for networks, count in least)


def read_table(path: Path, asked: Experiment, seed: int) -> Table:
    """A recorded table that answers for this experiment.

    Raises ``TableError`` naming the file if it is damaged, was measured with another backend, number of threads or
    images per call, or lacks a network that the model is fitted on or judged by.
    """
    try:
        data = files.read_json(path)
        if isinstance(data, dict) and data.get("schema") == IMPORTED:
            raise TableError(
                f"{path}: whole networks that others measured; a search prices layers of its device [foreign-table]\n"
                "  hint: compare strategies on it with: "
                "nas bench strategies --space SPACE --table table.csv --objective DEVICE"
            )
        if isinstance(data, dict) and "digest" in data:
            inner = {name: value for name, value in data.items() if name != "digest"}
            if data["digest"] != files.sha256(files.canonical_json(inner)):
                raise TableError(f"{path}: not what was written, its digest differs [damaged]")
        table = Table.from_json(data, str(path))
    except TableError:
        raise
    except OSError as error:
        raise TableError(of_disk(error, A_TABLE)) from error
    except ValueError as error:
        raise TableError(str(error)) from error
    wanted = asked.device.target().fingerprint()
    for name in ("backend", "threads", "batch", "floats"):
        if table.device.get(name) != wanted.get(name):
            found, asks = table.device.get(name), wanted.get(name)
            raise TableError(f"{path}: measured with {name} {found!r}, but the experiment asks for {asks!r}")
    fitted, judged = to_time(asked, seed)
    if not _enough(table, fitted, judged):
        needed = {*fitted, *judged}
        missing = len(needed) - len(_timed(table, list(needed)))
        raise TableError(f"{path}: has not measured {missing} of the {len(needed)} networks of this space and seed")
    return table


def judge(model: LatencyModel, networks: Sequence[Architecture]) -> dict[str, Any]:
    """Error of the model on networks that its table has measured."""
    measured = np.array([model.table.networks[a.to_json()].ms for a in networks])
    predicted, _ = model.predict(networks)
    return {**errors("networks", predicted, measured), **model.to_json()}


class _Partial:
    """What a profile has timed already, in the store's checkpoints, or in the entry that it goes on from."""

    def __init__(self, entry: Entry, before: Entry | None) -> None:
        self._entry, self._before = entry, before

    def load(self) -> Any:
        found = self._entry.latest_checkpoint()
        if found is not None:
            return files.parse_json(found[0])
        return None if self._before is None else self._before.read_json(TIMINGS)

    def save(self, state: Any) -> None:
        self._entry.checkpoint(files.canonical_json(state), {})
