"""Stage 6, do no harm: no precision of the chosen network is slower, and no more accurate, than another one there."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from nas.evaluate import Quality
from nas.evaluators import Values
from nas.report.words import bound_ms
from nas.stages.contract import choose, holds
from nas.stages.verifier import Row, Verifier
from spaces import Architecture, Space, Value
from spaces.dimensions import descending, dimensions

JUDGED = 24  # subnets that are evaluated at most
NOISE = 1.01  # two measurements so near are the same


@dataclass(frozen=True)
class Change:
    """Of a choice of precision, from one value to another; ``wider``: which is more precise, or as precise."""

    choice: str
    before: Value
    after: Value
    wider: bool

    def to_json(self) -> dict[str, Any]:
        """As ``result.json`` has it."""
        return {"choice": self.choice, "from": self.before, "to": self.after}


@dataclass(frozen=True)
class Judges:
    """What networks are compared by.

    ``predict``: objectives by name, latency from the measured table; ``quality`` in the supernet; ``costs``: the
    objectives that must not grow; ``limits``: budgets.
    """

    predict: Callable[[Sequence[Architecture]], Sequence[Values]]
    quality: Callable[[Architecture], Quality]
    costs: Sequence[str]
    limits: Mapping[str, float]


def repaired(space: Space, architecture: Architecture, judges: Judges) -> tuple[Architecture, list[Change]]:
    """The network after every change of one precision that costs nothing and gains something, and these changes.

    A layer is tried with what is faster, or more precise. The fastest change goes first; a change must keep every cost
    and the quality, and better one of them.
    """
    changes: list[Change] = []
    judged = 0
    again = True
    while again:
        again = False
        now, quality = judges.predict([architecture])[0], judges.quality(architecture)
        for change, other, values in _offers(space, architecture, judges, now):
            if judged == JUDGED:
                return architecture, changes
            judged += 1
            cheaper = any(values[name] < now[name] for name in judges.costs)
            if _no_worse(judges.quality(other), quality, strictly=not cheaper):
                architecture, again = other, True
                changes.append(change)
                break
    return architecture, changes


def _offers(
    space: Space, architecture: Architecture, judges: Judges, now: Values
) -> list[tuple[Change, Architecture, Values]]:
    """Changes to what is faster or more precise, and costs no more; the fastest first."""
    found = list(_alternatives(space, architecture))
    values = judges.predict([other for _, other in found]) if found else []
    offers = [
        (change, other, v)
        for (change, other), v in zip(found, values, strict=True)
        if (v["latency_ms"] < now["latency_ms"] or change.wider)
        and all(v[name] <= now[name] for name in judges.costs)
        and all(v[name] <= limit for name, limit in judges.limits.items())
    ]
    return sorted(offers, key=lambda offer: (offer[2]["latency_ms"], offer[1].key))


def _alternatives(space: Space, architecture: Architecture) -> Iterator[tuple[Change, Architecture]]:
    dimension = dimensions(space)
    for choice in space.choices:
        if choice.name in architecture and dimension[choice.name] == "precision":
            before = architecture[choice.name]
            order = descending(space, choice) or ()  # none of words, such as who shares a scale
            for after in choice.values:
                if after != before:
                    wider = bool(order) and order.index(after) < order.index(before)
                    other = space.architecture({**architecture, choice.name: after})
                    yield Change(choice.name, before, after, wider), other


def _no_worse(mine: Quality, theirs: Quality, strictly: bool) -> bool:
    if strictly:
        return (mine.accuracy, mine.log_likelihood) > (theirs.accuracy, theirs.log_likelihood)
    return mine.accuracy >= theirs.accuracy and mine.log_likelihood >= theirs.log_likelihood


def pass_over(verifier: Verifier, chosen: Row, budget: Mapping[str, float]) -> tuple[Row, dict[str, Any]]:
    """The chosen network, or that which its changes make of it, if it measures no slower; and what was done.

    The second is ``{"of": key, "changes": […], "kept": whether they were}``.
    """
    asked = verifier.asked
    costs = list(dict.fromkeys(["latency_ms", *(name for name in asked.search.objectives if name != "quality")]))
    judges = Judges(verifier.predict, verifier.quality, costs, budget)
    other, changes = repaired(asked.searched, asked.searched.architecture(chosen["architecture"]), judges)
    said: dict[str, Any] = {"of": chosen["key"], "changes": [change.to_json() for change in changes], "kept": False}
    for row in verifier.verify([other]) if changes else []:  # none if its proof fails
        verifier.confirm([chosen, row])
        if holds(row, budget) and bound_ms(row) <= NOISE * bound_ms(chosen):
            return row, {**said, "kept": True}
    return chosen, said


def delivered(
    verifier: Verifier, rows: Sequence[Row], budget: Mapping[str, float]
) -> tuple[Row | None, dict[str, Any] | None]:
    """The best of the rows that keeps the budget, or what :func:`pass_over` makes of it, and what was done.

    The pass measures again, which may refute what was chosen: then the next best is taken. ``(None, None)`` if none is
    left.
    """
    while (chosen := choose(rows, budget)) is not None:
        found, said = pass_over(verifier, chosen, budget)
        if holds(found, budget):
            return found, said
    return None, None
