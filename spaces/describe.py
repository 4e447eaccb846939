"""A space in words and numbers: its tree of choices, its size, and what its architectures cost."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from math import log10
from typing import Any

import numpy as np

from spaces.choice import Choice
from spaces.randomness import generator
from spaces.space import Space

DRAWN = 2_000


@dataclass
class Place:
    """A step of paths of choices: the choices of that name, and the steps below it."""

    choice: Choice | None = None
    below: dict[str, Place] = field(default_factory=dict)

    def shape(self) -> object:
        """Equal for places that have the same choices, conditions aside."""
        return (self.choice and self.choice.values, [(name, place.shape()) for name, place in self.below.items()])


def tree(choices: Sequence[Choice]) -> Place:
    """The choices by the steps of their names."""
    root = Place()
    for choice in choices:
        place = root
        for step in choice.name.split("."):
            place = place.below.setdefault(step, Place())
        place.choice = choice
    return root


def lines(space: Space) -> list[str]:
    """The tree as text; numbered places that have the same choices stand in one line, like ``0-3``."""
    return _lines(tree(space.choices), 0)


def _lines(place: Place, depth: int) -> list[str]:
    found: list[str] = []
    for names, inner in _alike(place.below):
        what = "" if inner.choice is None else f": {values(inner.choice)}"
        some = ", where it is there" if inner.choice is not None and inner.choice.when else ""
        found.append(f"{'  ' * depth}{names}{what}{some}")
        found += _lines(inner, depth + 1)
    return found


def _alike(below: Mapping[str, Place]) -> list[tuple[str, Place]]:
    groups: list[tuple[list[str], Place]] = []
    for name, place in below.items():
        if groups and name.isdecimal() and groups[-1][0][-1].isdecimal() and groups[-1][1].shape() == place.shape():
            groups[-1][0].append(name)
        else:
            groups.append(([name], place))
    return [(names[0] if len(names) == 1 else f"{names[0]}-{names[-1]}", place) for names, place in groups]


def values(choice: Choice) -> str:
    """The values, many evenly spaced whole numbers as a range."""
    found = choice.values
    steps = {b - a for a, b in pairwise(found)} if choice.ordered else set()  # type: ignore[operator]
    if len(found) > 4 and len(steps) == 1 and all(isinstance(v, int) for v in found):
        return f"{found[0]} to {found[-1]}, step {steps.pop()}"
    return ", ".join(str(v).lower() if isinstance(v, bool) else str(v) for v in found)


def power(size: int) -> str:
    """A number as a power of ten, like ``10^19.3``; exact, however large."""
    digits = len(str(size))
    return f"10^{digits - 1 + log10(int(str(size)[:15]) / 10 ** (min(digits, 15) - 1)):.1f}"


def costs(space: Space, limits: Mapping[str, float]) -> dict[str, dict[str, Any]]:
    """Smallest, median and largest of each counted cost, over drawn architectures and the extremes.

    For a limited cost also ``share``, that of the drawn architectures (uniform over all) that keep every limit, and
    whether any of those looked at does. Raises ``ValueError`` for a limit on what is not counted.
    """
    if not space.outline.records:
        return {}
    rng = generator(0, "spaces.describe")
    drawn = space.sample_many(DRAWN, rng)
    shallow = space.sample_many(DRAWN, rng, by_choice=True)
    menu = sorted({str(v) for c in space.choices if c.name in space.outline.precision_choices for v in c.values})
    extremes = space.batch([space.extreme(pick, name) for pick in (min, max) for name in menu or ["float"]])
    parts = [space.cost(batch) for batch in (drawn, shallow, extremes)]
    if unknown := sorted(limits.keys() - parts[0].keys()):
        raise ValueError(f"no counted cost {unknown[0]!r}; counted: {', '.join(parts[0])} [unknown-name]")
    keeps = (
        [np.all([part[name] <= limit for name, limit in limits.items()], axis=0) for part in parts] if limits else []
    )
    found: dict[str, dict[str, Any]] = {}
    for name in parts[0]:
        every = np.concatenate([part[name] for part in parts])
        middle = int(np.median(parts[0][name]))
        found[name] = {"smallest": int(every.min()), "median": middle, "largest": int(every.max())}
        if name in limits:
            reachable = bool(any(k.any() for k in keeps))
            found[name] |= {"limit": limits[name], "share": float(keeps[0].mean()), "reachable": reachable}
    return found
