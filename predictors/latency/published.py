"""Latency tables of others: rows of text become networks and times in milliseconds, or a list of all problems.

Units. The caller names one. It is refused where a name says another (a file or column with ``ms`` or ``us`` between
underscores), and where the values cannot be: a median network that takes less than 1 µs per layer, the cost of
starting a kernel, or runs fewer than 10^7 multiplications per second, fewer than a microcontroller.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from predictors.latency.layouts import LAYOUTS, Layout, layout_of
from predictors.latency.table import TableError
from spaces import Architecture, Space
from spaces.yaml import nearest

Floats = NDArray[np.float64]

UNITS = {"ns": 1e-6, "us": 1e-3, "ms": 1.0, "s": 1e3}  # milliseconds of one
AT_MOST = 20  # problems told
_PER_LAYER_MS, _SLOWEST_MACS_PER_MS = 1e-3, 1e4
_JUDGED = 64  # networks that the unit is judged by


@dataclass(frozen=True)
class Published:
    """``texts`` and ``features`` (n, d) of networks; ``ms``: device -> times (n,) in milliseconds."""

    layout: str
    space: Space
    texts: tuple[str, ...]
    features: Floats
    ms: Mapping[str, Floats]


def read(
    name: str,
    columns: Sequence[str],
    rows: Sequence[Mapping[str, str | None]],
    unit: str,
    space: Space | None = None,
    wanted: Sequence[str] = (),
) -> Published:
    """The table of a file ``name`` whose first line is ``columns``; ``space`` where its layout does not say which.

    Of the devices those ``wanted``, or all.

    Raises :class:`TableError` with every problem, the first :data:`AT_MOST` in full: unknown unit or layout, columns
    missing or twice, cells that are missing, no number, not finite, not positive, networks that are foreign or stand
    twice, rows missing in an ``index``, a unit that cannot be.
    """
    from spaces.load import load

    layout = _layout(name, columns, rows, unit)
    chosen = LAYOUTS[layout]
    if space is None:
        if chosen.space is None:
            raise TableError(f"{name}:1: the layout '{layout}' needs a space [missing-key]\n  hint: add --space NAME")
        space = load(chosen.space)
    devices = chosen.devices(columns)
    for device in wanted:
        if device not in devices:
            raise TableError(f"{name}:1: {unknown('device', device, list(devices))}")
    devices = {device: devices[device] for device in wanted or devices}
    problems = named(name, [column for used in devices.values() for column in used], unit)
    networks = _networks(name, rows, chosen, space, problems)
    ms = {
        device: UNITS[unit] * np.sum([_column(name, rows, column, unit, problems) for column in used], axis=0)
        for device, used in devices.items()
    }
    _indices(name, rows, problems)
    if not problems:
        problems += _impossible(name, space, networks, ms, unit)
    refuse(problems)
    if chosen.numeric:
        features = np.array([[float(row[n] or "") for n in chosen.needs] for row in rows])
    else:
        features = np.asarray(space.encode(space.batch(networks)), np.float64)
    return Published(layout, space, tuple(chosen.text(_whole(row)) for row in rows), features, ms)


def refuse(problems: Sequence[str]) -> None:
    """Raise :class:`TableError` with these problems, if there are any."""
    if problems:
        more = [f"and {len(problems) - AT_MOST} more problems"] if len(problems) > AT_MOST else []
        raise TableError("\n".join([*problems[:AT_MOST], *more]))


def unknown(what: str, name: str, known: Sequence[str]) -> str:
    """Message about a name that is none of those known."""
    near = nearest(name, known)
    hint = f"did you mean '{near}'?" if near else f"known: {', '.join(known)}"
    return f"unknown {what} '{name}' [unknown-name]\n  hint: {hint}"


def _layout(name: str, columns: Sequence[str], rows: Sequence[object], unit: str) -> str:
    if unit not in UNITS:
        raise TableError(unknown("unit", unit, list(UNITS)))
    twice = [c for i, c in enumerate(columns) if c in columns[:i]]
    if twice:
        raise TableError(f"{name}:1: column '{twice[0]}' stands twice [duplicate]")
    layout = layout_of(columns)
    if layout is None:
        wanted = "; ".join(f"{key}: {', '.join(known.needs)}" for key, known in LAYOUTS.items() if not known.numeric)
        raise TableError(f"{name}:1: no column names a network [missing-key]\n  hint: {wanted}; or HAT's ten features")
    needed = [c for used in LAYOUTS[layout].times.values() for c in used if c not in columns]
    if needed:
        near = nearest(needed[0], columns)
        hint = f"\n  hint: is it '{near}'?" if near else ""
        raise TableError(f"{name}:1: no column '{needed[0]}' [missing-key]{hint}")
    if len(rows) < 2 or not LAYOUTS[layout].devices(columns):
        raise TableError(f"{name}: a latency table needs two rows and one column of times [missing-key]")
    return layout


def _whole(row: Mapping[str, str | None]) -> dict[str, str]:
    return {key: value or "" for key, value in row.items() if isinstance(key, str)}


def named(name: str, columns: Sequence[str], unit: str) -> list[str]:
    """Problems of names that say another unit."""
    stem = name.replace("\\", "/").rsplit("/", 1)[-1].rsplit(".", 1)[0]
    found = []
    for where, text in ((name, stem), *((f"{name}:1: column '{c}'", c) for c in columns)):
        said = [part for part in text.lower().split("_")[1:] if part in UNITS]
        if said and unit not in said:
            found.append(f"{where}: the name says {said[0]}, but --unit says {unit} [wrong-unit]")
    return found


def _networks(
    name: str, rows: Sequence[Mapping[str, str | None]], layout: Layout, space: Space, problems: list[str]
) -> list[Architecture]:
    seen: dict[str, int] = {}
    networks = []
    for line, row in enumerate(rows, 2):
        where = f"{name}:{line}: column '{layout.needs[0]}'"
        try:
            text = layout.text(_whole(row))
            found = space.architecture(Architecture.from_json(text)) if text.startswith("{") else space.parse(text)
        except ValueError as error:
            problems.append(f"{where}: {error}")
            continue
        networks.append(found)
        first = seen.setdefault(found.key, line)
        if layout.unique and first != line:
            problems.append(f"{where}: the network of line {first} again [duplicate]")
    return networks


def _column(name: str, rows: Sequence[Mapping[str, str | None]], column: str, unit: str, problems: list[str]) -> Floats:
    values = np.full(len(rows), np.nan)
    for i, row in enumerate(rows):
        text = row.get(column)
        with suppress(ValueError):
            values[i] = float(text or "nan")
        if not (math.isfinite(values[i]) and values[i] > 0):
            what = f"{text!r:.60} is not a time in {unit}" if text else "the time is missing"
            problems.append(f"{name}:{i + 2}: column '{column}': {what} [bad-value]")
    return values


def _indices(name: str, rows: Sequence[Mapping[str, str | None]], problems: list[str]) -> None:
    """An ``index`` counts the rows from 0."""
    if "index" not in rows[0]:
        return
    for i, row in enumerate(rows):
        if row["index"] != str(i):  # one gap shifts all that follow: it is told once
            problems.append(f"{name}:{i + 2}: column 'index': {row['index']!r:.60} where {i} is due [missing-row]")
            return


def _impossible(
    name: str, space: Space, networks: Sequence[Architecture], ms: Mapping[str, Floats], unit: str
) -> list[str]:
    some = networks[:: max(1, len(networks) // _JUDGED)]
    layers = float(np.median([len(space.outline.layers(a)) for a in some]))
    macs = float(np.median(space.cost(space.batch(some))["macs"]))
    found = []
    for device, times in ms.items():
        median = float(np.median(times))
        if median < layers * _PER_LAYER_MS or median * _SLOWEST_MACS_PER_MS > macs:
            what = f"half of the networks, of {layers:.0f} layers and {macs:.3g} MACs, take {median:.4g} ms"
            found.append(f"{name}: column '{device}': {what}: that cannot be in {unit} [wrong-unit]")
    return found
