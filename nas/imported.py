"""Latency tables of others: one CSV file in, a table that ``nas bench strategies`` reads, and its header, out."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nas import files
from nas.problems import of_disk
from nas.stages.profile import IMPORTED
from predictors.latency.published import Published, read, refuse, unknown
from predictors.latency.regressors import REGRESSORS
from predictors.latency.table import TableError
from predictors.latency.transfer import Prior, settings_for
from predictors.metrics import errors
from spaces.load import load
from spaces.randomness import generator

Floats = NDArray[np.float64]

TABLE, HEADER = "table.csv", "table.json"
_JUDGED = 0.2  # share of the networks that a predictor does not see


def import_table(
    file: Path,
    unit: str,
    space: str | None = None,
    devices: Sequence[str] = (),
    predictor: str = "linear",
    threads: int | None = None,
    names: Path | None = None,
    seed: int = 0,
) -> tuple[Published, dict[str, Any]]:
    """(the table, its header with the error of a predictor on networks that it has not seen, per device).

    ``devices``: those wanted, or all. ``names``: another CSV file that says which network an ``index`` is. Raises
    :class:`TableError` with every problem found.
    """
    rows, columns = csv_rows(file)
    if names is not None:
        columns = [_join(file, rows, names), *columns]
    found = read(str(file), columns, rows, unit, None if space is None else load(space), devices)
    refuse(beside(file, unit, list(found.ms), threads))
    if predictor not in REGRESSORS:
        raise TableError(unknown("predictor", predictor, list(REGRESSORS)))
    order = generator(seed, "import.judged").permutation(len(found.texts))
    held = order[: max(1, int(_JUDGED * len(order)))]
    seen = order[len(held) :] if len(order) - len(held) > 1 else order
    judged = {}
    for device, ms in found.ms.items():
        model = REGRESSORS[predictor].fit(found.features[seen], ms[seen], generator(seed, "import.fit"))
        judged[device] = _errors(model.predict(found.features[held]), ms[held])
    return found, {
        "schema": IMPORTED,
        "unit": "ms",
        "devices": list(found.ms),
        "threads": threads,
        "space": found.space.name,
        "layout": found.layout,
        "networks": len(found.texts),
        "source": {"file": file.name, "unit": unit, "sha256": files.file_digest(file)},
        "predictor": {"method": predictor, "seed": seed, "seen": len(seen), "judged": len(held), "errors": judged},
    }


def transferred(found: Published, device: str, samples: int, seed: int = 0) -> tuple[Floats, dict[str, Any]]:
    """(times in ms (n,) of all networks on ``device`` from ``samples`` of its own, what was done and how good it is).

    All devices of other families are known. Raises :class:`TableError`.
    """
    if device not in found.ms:
        raise TableError(unknown("device", device, list(found.ms)))
    families = {name: family(name, list(found.ms)) for name in found.ms}
    known = [name for name in found.ms if families[name] != families[device]]
    if not known or not 2 <= samples < len(found.texts):
        what = f"{samples} samples of {len(found.texts)} networks and {len(known)} devices of other families"
        raise TableError(f"transfer to '{device}': {what}: needs 2 samples and 1 device [out-of-range]")
    table, names = np.stack([found.ms[name] for name in known], axis=1), [families[name] for name in known]
    (settings,) = settings_for(found.features, table, names, [samples])
    prior = Prior.of(found.features, table, names, settings)
    rows = prior.choose(samples, seed)
    predicted = prior.predict(rows, found.ms[device][rows])
    unseen = np.delete(np.arange(len(predicted)), rows)
    facts = {"device": device, "known": known, "rows": rows.tolist(), "seed": seed}
    return predicted, {**facts, "errors": _errors(predicted[unseen], found.ms[device][unseen])}


def family(device: str, devices: Sequence[str]) -> str:
    """A device without the batch size at its end, if another differs from it in that alone."""
    stem, _, size = device.rpartition("_")
    same = [d for d in devices if d.rpartition("_")[0] == stem and d.rpartition("_")[2].isdigit()]
    return stem if size.isdigit() and len(same) > 1 else device


def write(out: Path, found: Published, header: dict[str, Any], predicted: dict[str, Floats]) -> None:
    """``table.csv`` (column ``arch``, a column per device and prediction) and ``table.json`` with its digest."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    columns = {**found.ms, **{f"{name} predicted": ms for name, ms in predicted.items()}}
    writer.writerow(["arch", *columns])
    writer.writerows(zip(found.texts, *(map(repr, ms.tolist()) for ms in columns.values()), strict=True))
    digest = files.write_atomic(out / TABLE, text.getvalue().encode())
    files.write_json(out / HEADER, {**header, "sha256": digest}, indent=2)


def csv_rows(file: Path) -> tuple[list[dict[str, str | None]], list[str]]:
    """(rows, columns) of a CSV file. Raises :class:`TableError` for what is none, and for rows of another length."""
    try:
        with file.open(encoding="utf-8-sig", newline="") as stream:
            reader = csv.DictReader(stream, strict=True)
            rows, columns = [], list(reader.fieldnames or ())
            for line, row in enumerate(reader, 2):
                if reader.line_num != line:
                    raise TableError(f"{file}:{line}: an empty line, or a line break in a cell [syntax]")
                rows.append(row)
    except OSError as error:
        raise TableError(of_disk(error)) from error
    except (UnicodeDecodeError, csv.Error) as error:
        raise TableError(f"{file}: not a CSV file in UTF-8: {error} [syntax]") from error
    refuse([
        f"{file}:{i}: {'more' if None in row else 'fewer'} cells than the {len(columns)} columns [syntax]"
        for i, row in enumerate(rows, 2)
        if None in row or None in row.values()
    ])  # fmt: skip
    return rows, columns


def _join(file: Path, rows: Sequence[dict[str, str | None]], names: Path) -> str:
    """Write into each row the network that ``names`` has for its ``index``; return the column's name."""
    named, columns = csv_rows(names)
    column = next((c for c in ("arch_str", "arch") if c in columns), None)
    if column is None or "index" not in columns or not rows or "index" not in rows[0]:
        raise TableError(f"{names}:1: --names joins a column arch_str or arch by a column index [missing-key]")
    texts = {row["index"]: row[column] for row in named}
    refuse([
        f"{file}:{line}: column 'index': {row['index']!r:.60} is not in {names.name} [foreign]"
        for line, row in enumerate(rows, 2)
        if row["index"] not in texts
    ])  # fmt: skip
    for row in rows:
        row[column] = texts[row["index"]]
    return column


def beside(file: Path, unit: str, devices: Sequence[str], threads: int | None) -> list[str]:
    """What a header beside the file, of its name and ``.json``, says otherwise."""
    path = file.with_suffix(".json")
    if not path.exists():
        return []
    try:
        said = files.read_json(path)
    except ValueError as error:
        return [f"{error} [syntax]"]
    if not isinstance(said, dict):
        return [f"{path}: a header is a mapping [wrong-type]"]
    problems = []
    if said.get("unit", unit) != unit:
        problems.append(f"{path}: the unit is {said['unit']!r}, but --unit says {unit} [wrong-unit]")
    if said.get("sha256") not in (None, files.file_digest(file)):
        problems.append(f"{path}: the digest is another: {file.name} was changed after it was written [damaged]")
    if threads is not None and said.get("threads") not in (None, threads):
        problems.append(f"{path}: measured with {said['threads']!r} threads, but --threads says {threads} [foreign]")
    listed = said.get("devices")
    for device in devices:
        if isinstance(listed, list) and device not in listed and not device.endswith(" predicted"):
            problems.append(f"{path}: column '{device}' is no device of the header [foreign]")
    return problems


def _errors(predicted: Floats, measured: Floats) -> dict[str, float]:
    found = errors("networks", predicted, measured)
    return {name: found[name] for name in ("mape", "within_10", "tau")}
