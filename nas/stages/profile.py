"""Stage 3: the latency table of the space on this device, and the latency model fitted on it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from nas import files
from nas.experiment import Experiment
from nas.problems import A_TABLE, of_disk
from nas.store import Entry, Store
from nas.terminal import Progress
from predictors.latency import LatencyModel, Table, TableError, fit, networks_to_time, profile
from predictors.metrics import mape, tau, within
from spaces import Architecture
from spaces.randomness import generator

MIXED, UNIFORM, HELD_OUT = 24, 12, 24
TABLE = "table.json"
IMPORTED = "imported latency table 1"  # schema of what others measured


def held_out(asked: Experiment, seed: int, fitted: Sequence[Architecture]) -> list[Architecture]:
    """Networks drawn uniformly from the space that the fit does not see; they judge the model.

    Where the space has no others, some that it does see.
    """
    drawn = asked.space.sample_many(4 * HELD_OUT, generator(seed, "profile.held out"))
    return [a for a in dict.fromkeys(drawn) if a not in fitted][:HELD_OUT] or list(fitted[::4])


def table_entry(asked: Experiment, seed: int, store: Store) -> Entry:
    """Where the table of this experiment and seed, measured on this device, belongs."""
    fitted = networks_to_time(asked.space, seed, MIXED, UNIFORM)
    networks = files.sha256("".join(a.key for a in (*fitted, *held_out(asked, seed, fitted))).encode())[:16]
    inputs = {"space": asked.space.digest, "device": asked.device.target().fingerprint(), "networks": networks}
    return store.entry("profile", inputs)


def profiled(
    asked: Experiment, seed: int, store: Store, table_file: Path | None, progress: Progress
) -> tuple[LatencyModel, dict[str, Any], Entry | None]:
    """(the model, its error on networks it has not seen, the table's entry in the store if it was measured here).

    Raises ``TableError`` if ``table_file`` is given and does not hold what is needed.
    """
    space, target = asked.space, asked.device.target()
    fitted = networks_to_time(space, seed, MIXED, UNIFORM)
    judged = held_out(asked, seed, fitted)
    entry = None
    if table_file is not None:
        table = read_table(table_file, asked, seed)
        progress.outcome = f"answered from {table_file}"
    else:
        entry = table_entry(asked, seed, store)
        with entry.lock():
            if not entry.complete:
                table = profile(
                    space,
                    target,
                    [*fitted, *judged],
                    _Partial(entry),
                    lambda done, total: progress("model", done, total),
                )
                entry.write(TABLE, files.canonical_json(table.to_json()))
                entry.finish(rows=len(table.rows), networks=len(table.networks))
        table = Table.from_json(entry.read_json(TABLE), str(entry.path / TABLE))
    model = fit(space, table, target.menu, target.batch, fitted)
    facts = judge(model, judged)
    if progress.outcome is None:
        progress.outcome = (
            f"{len(table.rows)} rows, {len(table.networks)} networks; error on {facts['networks']} unseen networks of "
            f"{facts['fastest_ms']:.4f} to {facts['slowest_ms']:.4f} ms: {facts['mape']:.1f} %, tau {facts['tau']:.2f}"
            f"; sessions differ by {100 * table.spread:.1f} %"
        )
    return model, facts, entry


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
                "  hint: compare strategies on it with: nas bench strategies --table table.csv"
            )
        table = Table.from_json(data, str(path))
    except TableError:
        raise
    except OSError as error:
        raise TableError(of_disk(error, A_TABLE)) from error
    except ValueError as error:
        raise TableError(str(error)) from error
    wanted = asked.device.target().fingerprint()
    for name in ("backend", "threads", "batch"):
        if table.device.get(name) != wanted[name]:
            raise TableError(
                f"{path}: measured with {name} {table.device.get(name)!r}, but the experiment asks for {wanted[name]!r}"
            )
    fitted = networks_to_time(asked.space, seed, MIXED, UNIFORM)
    needed = {*fitted, *held_out(asked, seed, fitted)}
    missing = sum(a.to_json() not in table.networks for a in needed)
    if missing:
        raise TableError(f"{path}: has not measured {missing} of the {len(needed)} networks of this space and seed")
    return table


def judge(model: LatencyModel, networks: Sequence[Architecture]) -> dict[str, Any]:
    """Error of the model on networks that its table has measured."""
    measured = np.array([model.table.networks[a.to_json()].median_ms for a in networks])
    predicted, _ = model.predict(networks)
    return {
        "networks": len(networks),
        "mape": mape(predicted, measured),
        "within_10": within(predicted, measured, 0.1),
        "tau": tau(predicted, measured),
        "fastest_ms": float(measured.min()),
        "slowest_ms": float(measured.max()),
        "spread": float(measured.std() / measured.mean()),
        "predicted_ms": predicted.tolist(),
        "measured_ms": measured.tolist(),
        **model.to_json(),
    }


class _Partial:
    """Batches of a profile that are measured already, in the store's checkpoints."""

    def __init__(self, entry: Entry) -> None:
        self._entry = entry

    def load(self) -> Any:
        found = self._entry.latest_checkpoint()
        return None if found is None else files.parse_json(found[0])

    def save(self, state: Any) -> None:
        self._entry.checkpoint(files.canonical_json(state), {})
