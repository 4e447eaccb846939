"""Tables of single kernels of others: nn-Meter's files, or a CSV like them, in; what a search prices layers by, out.

nn-Meter leaves two kinds of JSON in a folder, the shapes of kernels, and times by the same names; or a CSV per kernel.
"""

from __future__ import annotations

import csv
import io
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from nas import files
from nas.imported import HEADER, TABLE, beside, csv_rows
from nas.problems import of_disk
from nas.stages.kernels import errors_by_kind, to_json
from predictors.latency.kernels import Entry, Kernels, kind, read
from predictors.latency.published import named
from predictors.latency.table import TableError

_SHAPES, _TIME = {"CIN", "CIN1"}, "latency"  # columns by which a CSV of kernels is known
_NAME, _MODEL = "kernel", "model_path"


def is_kernels(path: Path) -> bool:
    """Whether a file of others, or a folder, is of kernels and not of networks."""
    return path.is_dir() or _is_json(path) or _is_csv(path)


def import_kernels(path: Path, unit: str, threads: int | None = None, seed: int = 0) -> tuple[Kernels, dict[str, Any]]:
    """(the kernels of a file or of those in a folder, their header with the error on a fifth that kriging did not see).

    ``threads``: those that a header beside a CSV must name. Raises :class:`TableError` with every problem found.
    """
    inside = sorted(path.iterdir()) if path.is_dir() else [path]
    of_json, of_csv = ([p for p in inside if p.is_file() and known(p)] for known in (_is_json, _is_csv))
    if not of_json and not of_csv:
        raise TableError(f"{path}: no JSON or CSV file of kernels is in this folder [missing-file]")
    problems = [problem for p in (*of_json, *of_csv) for problem in named(str(p), [], unit)]
    problems += [problem for p in of_csv for problem in beside(p, unit, [], threads)]
    entries = _of_json(of_json, problems) if of_json else []
    for file in of_csv:
        entries += _of_csv(file)
    found = read(str(path), entries, unit, problems)
    digests = {p.name: files.file_digest(p) for p in (*of_json, *of_csv)}
    return found, {
        "source": {"file": path.name, "unit": unit, "sha256": digests},
        "kernels": dict(sorted(Counter(map(kind, found.keys)).items())),
        "untimed": found.untimed,
        "predictor": {"method": "kriging", "seed": seed, "errors": errors_by_kind(found, seed)},
    }


def write(out: Path, kernels: Kernels, header: dict[str, Any], source: Path) -> None:
    """``table.json``, which ``nas search --table`` takes, and ``table.csv`` to look at.

    Raises :class:`TableError` where they would lie among what was read.
    """
    if out.resolve() == (source if source.is_dir() else source.parent).resolve():
        raise TableError(f"{out}: the source lies there: --out has to be another folder [ambiguous]")
    data = {**to_json(kernels), "header": header}
    whole = files.canonical_json({**data, "digest": files.sha256(files.canonical_json(data))})
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["kernel", "ms"])
    writer.writerows(zip(map(str, kernels.keys), map(repr, kernels.ms.tolist()), strict=True))
    files.write_atomic(out / TABLE, text.getvalue().encode())
    files.write_atomic(out / HEADER, whole)


def _is_json(path: Path) -> bool:
    try:
        with path.open("rb") as stream:
            return stream.read(64).lstrip().startswith(b"{")
    except OSError:
        return False  # whoever reads it says what is wrong


def _is_csv(path: Path) -> bool:
    try:
        with path.open(encoding="utf-8-sig", newline="") as stream:
            columns = next(csv.reader(stream), [])
    except (OSError, UnicodeDecodeError, csv.Error):
        return False
    return _TIME in columns and not _SHAPES.isdisjoint(columns)


def _of_json(sources: list[Path], problems: list[str]) -> list[Entry]:
    """``{kernel: {name: {"config": shapes, "latency": time}}}``, of each name perhaps in two files."""
    found: dict[tuple[str, str], dict[str, Any]] = {}
    for source in sources:
        for kernel, name, said in _records(source, problems):
            place = f"{source}: {_shown(kernel)}, {_shown(name)}"
            known = found.setdefault((kernel, name), {"place": place})
            problems += [
                f"{place}: {part} stands in another file too [duplicate]"
                for part in ("config", "latency")
                if part in said and part in known and said[part] != known[part]
            ]
            known |= {part: said[part] for part in ("config", "latency") if part in said}
    problems += [
        f"{known['place']}: no config says its shapes [missing-key]"
        for known in found.values()
        if not isinstance(known.get("config"), dict)
    ]
    return [
        Entry(known["place"], kernel, known["config"], known.get("latency"))
        for (kernel, _), known in found.items()
        if isinstance(known.get("config"), dict)
    ]


def _records(source: Path, problems: list[str]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """(kernel, name, what is said of it)."""
    try:
        data = files.read_json(source)
    except OSError as error:
        raise TableError(of_disk(error)) from error
    except ValueError as error:
        raise TableError(f"{error} [syntax]") from error
    for kernel, of in data.items() if isinstance(data, dict) else [("", None)]:
        if isinstance(of, dict) and all(isinstance(said, dict) for said in of.values()):
            yield from ((kernel, name, said) for name, said in of.items())
        else:
            what = f"{_shown(kernel)}: not" if kernel else "not"
            problems.append(f"{source}: {what} names of kernels, each with its shapes and time [wrong-type]")


def _of_csv(path: Path) -> list[Entry]:
    """A column for each shape; ``kernel`` says of which, or nn-Meter's ``model_path`` up to its first underscore."""
    rows, columns = csv_rows(path)
    if _NAME not in columns and _MODEL not in columns:
        raise TableError(f"{path}:1: no column '{_NAME}' [missing-key]\n  hint: such as conv-bn-relu, dwconv-bn or fc")
    twice = [c for i, c in enumerate(columns) if c in columns[:i] and c != "CIN"]  # nn-Meter's sums have two equal ones
    if twice:
        raise TableError(f"{path}:1: column '{twice[0]}' stands twice [duplicate]")
    made = []
    for line, row in enumerate(rows, 2):
        kernel = row[_NAME] if _NAME in row else (row[_MODEL] or "").split("_")[0]
        shapes = {name: value for name, value in row.items() if name.isupper() and value}
        made.append(Entry(f"{path}:{line}", kernel or "", shapes, row[_TIME] or ""))
    return made


def _shown(name: str) -> str:
    return name if name.isprintable() else ascii(name)
