"""Objectives from a table of architectures and values, whose truth is known."""

from __future__ import annotations

import csv
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from nas.evaluators.base import Failed, Values
from nas.problems import of_disk
from spaces import Architecture, Space
from spaces.yaml import nearest

ARCHITECTURE = "arch"
_LEAST_SHARE = 0.1  # of a space that a table must answer for


class WrongTable(ValueError):
    """A table that does not fit; the message names file, line and what is wrong."""


@dataclass(frozen=True)
class Tabular:
    """``columns``: name -> values (n,) of the architectures whose keys are ``rows``; NaN where a value is missing.

    ``objectives``: objective -> (column, factor), which make it an evaluator.
    """

    space: Space
    rows: Mapping[str, int]
    columns: Mapping[str, NDArray[np.float64]]
    objectives: Mapping[str, tuple[str, float]] = field(default_factory=dict)

    def __call__(self, architectures: Sequence[Architecture]) -> list[Values | Failed]:
        """See :class:`nas.evaluators.Evaluator`; an architecture that the table does not have has failed."""
        found = [self.rows.get(a.key) for a in architectures]
        return [
            Failed("not in the table")
            if row is None
            else {name: factor * float(self.columns[c][row]) for name, (c, factor) in self.objectives.items()}
            for row in found
        ]

    def column(self, name: str) -> NDArray[np.float64]:
        """One column (n,). Raises :class:`WrongTable` naming the nearest if there is none."""
        if name not in self.columns:
            near = nearest(name, self.columns)
            hint = f"did you mean '{near}'?" if near else f"columns: {', '.join(self.columns)}"
            raise WrongTable(f"the table has no column of numbers '{name}' [unknown-name]\n  hint: {hint}")
        return self.columns[name]


def read_table(path: Path, space: Space) -> Tabular:
    """A CSV file with a column ``arch`` in the space's notation (or JSON), and columns of numbers.

    Raises :class:`WrongTable`.
    """
    try:
        with path.open(encoding="utf-8", newline="") as file:
            lines = list(csv.DictReader(file))
    except OSError as error:
        raise WrongTable(of_disk(error)) from error
    except (UnicodeDecodeError, csv.Error) as error:
        raise WrongTable(f"{path}: not a CSV file in UTF-8: {error} [syntax]") from error
    if not lines or ARCHITECTURE not in lines[0]:
        raise WrongTable(f"{path}:1: the table needs a column '{ARCHITECTURE}' and at least one row [missing-key]")
    rows: dict[str, int] = {}
    for number, line in enumerate(lines):
        text = line[ARCHITECTURE]
        try:
            architecture = (
                space.architecture(Architecture.from_json(text)) if text.startswith("{") else space.parse(text)
            )
        except ValueError as error:
            raise WrongTable(f"{path}:{number + 2}: {error}") from error
        rows.setdefault(architecture.key, number)
    columns = {}
    for name in lines[0]:
        values = [_number(line[name]) for line in lines]
        if name != ARCHITECTURE and not all(math.isnan(v) for v in values):
            columns[name] = np.array(values)
    return Tabular(space, rows, columns)


def whole_table(path: Path, space: Space) -> Tabular:
    """The same, of a table with a tenth of the space at least, for strategies to ask. Raises :class:`WrongTable`."""
    found = read_table(path, space)
    if len(found.rows) < _LEAST_SHARE * space.size:
        has = f"{len(found.rows):,} of the {float(space.size):.3g} networks of space {space.name}"
        raise WrongTable(f"{path}: the table has {has}: strategies would ask for others [incomplete-table]")
    return found


def _number(text: str | None) -> float:
    try:
        return float(text or "nan")
    except ValueError:
        return math.nan
