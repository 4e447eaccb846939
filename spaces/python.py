"""The language from Python: what these functions return is what the reader makes of a ``space.yaml``.

import spaces
from spaces.python import choice, repeat, space

made = space(
    "mine",
    {"family": "graph", "input": [1, 8, 8], "classes": 10, "layers": [
        repeat(choice(1, 2, 3), [{"conv": {"out": 16, "kernel": choice(3, 5)}}]), "pool", {"linear": 10}]},
    precision=choice("float", "w8a8"),
)
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from spaces.choice import Value
from spaces.load import from_text
from spaces.space import Space
from spaces.yaml.writer import dump

Field = dict[str, Any]
Conditions = Mapping[str, Any]


def choice(
    *values: Value | Field, per: str | None = None, when: Conditions | None = None, otherwise: Value | None = None
) -> Field:
    """One of these values; ``when`` conditions on other choices hold, and else ``otherwise``."""
    return _field("choice", list(values), per, when, otherwise)


def steps(
    low: int, high: int, step: int = 1, *, per: str | None = None, when: Conditions | None = None,
    otherwise: Value | None = None,
) -> Field:  # fmt: skip
    """One of the numbers from ``low`` to ``high``, both included."""
    return _field("range", [low, high, step], per, when, otherwise)


def tie(name: str) -> Field:
    """The value of another choice, by its name."""
    return {"tie": name}


def repeat(count: int | Field, of: Any, *, tied: bool = False, when: Conditions | None = None) -> Field:
    """A list whose length may be a choice; ``tied`` elements share their choices."""
    return {"repeat": count, "of": of, **({"tied": True} if tied else {}), **_when(when)}


def optional(of: Any, *, when: Conditions | None = None) -> Field:
    """Something that may be left out."""
    return {"optional": of, **_when(when)}


def one_of(alternatives: Mapping[str, Any], *, when: Conditions | None = None) -> Field:
    """One of several things, by name, with choices of their own."""
    return {"one_of": dict(alternatives), **_when(when)}


def space(name: str, model: Mapping[str, Any], precision: str | Field = "float", **sections: Any) -> Space:
    """The space of this ``model`` section. Raises ``SpecError`` as reading a file does."""
    return from_text(dump({"name": name, **sections, "model": dict(model), "precision": precision}), f"<{name}>")


def _field(word: str, values: list[Any], per: str | None, when: Conditions | None, otherwise: Value | None) -> Field:
    return {
        word: values,
        **({"per": per} if per is not None else {}),
        **_when(when),
        **({"else": otherwise} if otherwise is not None else {}),
    }


def _when(when: Conditions | None) -> Field:
    return {"when": dict(when)} if when else {}
