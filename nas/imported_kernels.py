"""Tables of single kernels of others: nn-Meter's files, or a CSV like them, in; what a search prices layers by, out.

nn-Meter leaves two kinds of JSON in a folder: the shapes of kernels, and times by the same names. A file may have both.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from nas import files
from nas.imported import HEADER, TABLE, csv_rows
from nas.problems import of_disk
from nas.stages.kernels import errors_by_kind, to_json
from predictors.latency.kernels import Entry, Kernels, read
from predictors.latency.published import refuse
from predictors.latency.table import TableError

_COLUMNS = ("CIN", "latency")  # by which a CSV of kernels is known
_NAME, _MODEL = "kernel", "model_path"


def is_kernels(path: Path) -> bool:
    """Whether a file of others, or a folder, is of kernels and not of networks."""
    if path.is_dir() or path.suffix == ".json":
        return True
    try:
        with path.open(encoding="utf-8-sig", newline="") as stream:
            return set(_COLUMNS) <= set(next(csv.reader(stream), []))
    except (OSError, UnicodeDecodeError, csv.Error):
        return False  # whoever reads it says what is wrong


def import_kernels(path: Path, unit: str, seed: int = 0) -> tuple[Kernels, dict[str, Any]]:
    """(the kernels, their header with the error on a fifth that kriging did not see, by kind).

    Raises :class:`TableError` with every problem found.
    """
    sources = sorted(path.glob("*.json")) if path.is_dir() else [path]
    if not sources:
        raise TableError(f"{path}: no JSON file in this folder [missing-file]")
    untimed: list[str] = []
    entries = list(_of_csv(path) if path.suffix == ".csv" else _of_json(sources, untimed))
    found = read(str(path), entries, unit)
    return found, {
        "source": {"file": path.name, "unit": unit, "sha256": {s.name: files.file_digest(s) for s in sources}},
        "kernels": len(found.keys),
        "untimed": len(untimed),
        "predictor": {"method": "kriging", "seed": seed, "errors": errors_by_kind(found, seed)},
    }


def write(out: Path, kernels: Kernels, header: dict[str, Any]) -> None:
    """``table.json``, which ``nas search --table`` takes, and ``table.csv`` to look at."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["kernel", "ms"])
    writer.writerows(zip(map(str, kernels.keys), map(repr, kernels.ms.tolist()), strict=True))
    files.write_atomic(out / TABLE, text.getvalue().encode())
    data = {**to_json(kernels), "header": header}
    files.write_json(out / HEADER, {**data, "digest": files.sha256(files.canonical_json(data))})


def _of_json(sources: list[Path], untimed: list[str]) -> Iterator[Entry]:
    """``{kernel: {name: {"config": shapes, "latency": time}}}``, of each name perhaps in two files."""
    found: dict[tuple[str, str], dict[str, Any]] = {}
    problems: list[str] = []
    for source in sources:
        try:
            data = files.read_json(source)
        except OSError as error:
            raise TableError(of_disk(error)) from error
        except ValueError as error:
            raise TableError(f"{error} [syntax]") from error
        for kernel, named in data.items() if isinstance(data, dict) else [("", None)]:
            if not isinstance(named, dict) or not all(isinstance(said, dict) for said in named.values()):
                problems.append(f"{source}: {kernel or 'a file of kernels'} is a mapping of mappings [wrong-type]")
                continue
            for name, said in named.items():
                known = found.setdefault((kernel, name), {"place": f"{source}: {kernel}, {name}"})
                problems += [
                    f"{source}: {kernel}, {name}: {part} stands in another file too [duplicate]"
                    for part in ("config", "latency")
                    if part in said and part in known and said[part] != known[part]
                ]
                known |= {part: said[part] for part in ("config", "latency") if part in said}
    for (kernel, name), known in found.items():
        if "latency" not in known:
            untimed.append(name)
        elif not isinstance(known.get("config"), dict):
            problems.append(f"{known['place']}: no config says its shapes [missing-key]")
        else:
            yield Entry(known["place"], kernel, known["config"], known["latency"])
    refuse(problems)


def _of_csv(path: Path) -> Iterator[Entry]:
    """A column for each shape; ``kernel`` says of which, or nn-Meter's ``model_path`` up to its first underscore."""
    rows, columns = csv_rows(path)
    if _NAME not in columns and _MODEL not in columns:
        raise TableError(f"{path}:1: no column '{_NAME}' [missing-key]\n  hint: such as conv-bn-relu, dwconv-bn or fc")
    twice = [c for i, c in enumerate(columns) if c in columns[:i]]
    if twice:
        raise TableError(f"{path}:1: column '{twice[0]}' stands twice [duplicate]")
    for line, row in enumerate(rows, 2):
        kernel = row[_NAME] if _NAME in row else (row[_MODEL] or "").split("_")[0]
        shapes = {name: value for name, value in row.items() if name.isupper() and value}
        yield Entry(f"{path}:{line}", kernel or "", shapes, row["latency"])
