"""The largest and the smallest subnet of a space, also where choices are words and have no order of their own."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from spaces import Architecture, Space
from spaces.choice import Value


def endpoint(space: Space, pick: Callable[[Iterable[Any]], Any], precision: str) -> Architecture:
    """As :meth:`spaces.Space.extreme`, with the operations of most (``max``) or fewest (``min``) MACs."""
    words = [
        c
        for c in space.choices
        if c.name not in space.outline.precision_choices and not all(isinstance(v, int | float) for v in c.values)
    ]
    if not words:
        return space.extreme(pick, precision)
    tried = [(c.name, v) for c in words for v in c.values]
    macs = space.cost([space.extreme(pick, precision, {name: v}) for name, v in tried])["macs"].tolist()
    best: dict[str, tuple[int, Value]] = {}
    for (name, value), count in zip(tried, macs, strict=True):
        if name not in best or pick((count, best[name][0])) != best[name][0]:
            best[name] = count, value
    return space.extreme(pick, precision, {name: value for name, (_, value) in best.items()})
