"""Records from plain data: what :meth:`spaces.outline.Outline.to_json` wrote, checked."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import MISSING, fields
from typing import Any

from spaces.axis import Axis, Factor
from spaces.call import Call, Given
from spaces.choice import Condition
from spaces.layers import Chosen, Joined, Lookup, Position, Record, Scaled, Split

_FORMS: tuple[tuple[str, type], ...] = (
    ("segments", Axis), ("of", Factor), ("index", Given), ("base", Scaled), ("parts", Joined), ("table", Lookup),
    ("weight", Split), ("values", Position), ("name", Chosen),
)  # fmt: skip
"""A key that tells a form -> the form; the first that fits."""


class NotAnOutline(ValueError):
    """Data that is no outline; the message says where."""


def record(data: Any) -> Record:
    """One record. Raises :class:`NotAnOutline`."""
    given = _checked(Record, data, str(data.get("path", "?")) if isinstance(data, Mapping) else "?")
    found = {name: field(value) for name, value in given.items() if name not in ("exists_when", "call")}
    found["exists_when"] = tuple(condition(c) for c in given.get("exists_when", ()))
    if given.get("call") is not None:
        call = _checked(Call, given["call"], f"{given['path']}.call")
        found["call"] = Call(**{name: field(value) for name, value in call.items()})
    return Record(**found)


def condition(data: Any) -> Condition:
    """One condition. Raises :class:`NotAnOutline`."""
    given = _checked(Condition, data, "condition")
    return Condition(given["name"], tuple(given["values"]))


def field(data: Any) -> Any:
    """A constant, a form of :mod:`spaces.layers` or :mod:`spaces.axis`, or a tuple of these."""
    if isinstance(data, list):
        return tuple(field(item) for item in data)
    if not isinstance(data, Mapping):
        return data
    made: Callable[..., Any] | None = next((form for key, form in _FORMS if key in data), None)
    if made is None:
        raise NotAnOutline(f"no field has the keys {', '.join(map(str, data))} [wrong-outline]")
    return made(**{name: field(value) for name, value in _checked(made, data, made.__name__).items()})


def _checked(made: Any, data: Any, where: str) -> Mapping[str, Any]:
    """A mapping with the fields of a dataclass, no others, and all that have no default."""
    if not isinstance(data, Mapping):
        raise NotAnOutline(f"{where}: a mapping is needed, not {type(data).__name__} [wrong-outline]")
    known = {f.name: f.default is MISSING for f in fields(made)}
    wrong = [name for name in data if name not in known]
    missing = [name for name, needed in known.items() if needed and name not in data]
    if wrong or missing:
        what = f"unknown key {wrong[0]!r}" if wrong else f"key {missing[0]!r} is missing"
        raise NotAnOutline(f"{where}: {what} [wrong-outline]")
    return data
