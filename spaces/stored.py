"""A space as plain data and back: choices and outline, from which supernet and networks are built again."""

from __future__ import annotations

from typing import Any

from spaces.choice import Choice
from spaces.decode import NotAnOutline, condition
from spaces.outline import Outline
from spaces.space import Space


def to_json(space: Space) -> dict[str, Any]:
    """Name, choices and outline; a notation and the file that it was read from are left out."""
    choices = [
        {"name": c.name, "values": list(c.values), "when": [{"name": w.name, "values": list(w.values)} for w in c.when]}
        for c in space.choices
    ]
    return {"name": space.name, "choices": choices, "outline": space.outline.to_json()}


def from_json(data: Any) -> Space:
    """The space that :func:`to_json` wrote: equal digest. Raises :class:`NotAnOutline`, and what a space raises."""
    try:
        return _space(data)
    except (TypeError, KeyError, AttributeError) as error:  # values of other types than were written
        raise NotAnOutline(f"not the data of a space: {error} [wrong-outline]") from None


def _space(data: Any) -> Space:
    if not isinstance(data, dict) or set(data) != {"name", "choices", "outline"}:
        raise NotAnOutline("a space has exactly the keys name, choices, outline [wrong-outline]")
    choices = []
    for c in data["choices"]:
        if not isinstance(c, dict) or set(c) != {"name", "values", "when"}:
            raise NotAnOutline("a choice has exactly the keys name, values, when [wrong-outline]")
        choices.append(Choice(c["name"], tuple(c["values"]), tuple(map(condition, c["when"]))))
    return Space(data["name"], tuple(choices), Outline.from_json(data["outline"]))


__all__ = ["NotAnOutline", "from_json", "to_json"]
