"""The largest and the smallest network of a space, also where choices are words and have no order of their own."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any

from spaces.architecture import Architecture
from spaces.choice import Choice, Value

if TYPE_CHECKING:
    from spaces.space import Space

Pick = Callable[[Iterable[Any]], Any]
"""``min`` or ``max``."""


def ordered(space: Space, choice: Choice) -> bool:
    """Whether its values are numbers, or precisions, of which one is asked for."""
    return _numbers(choice) or choice.name in space.outline.precision_choices


def words(space: Space, pick: Pick, precision: str) -> dict[str, Value]:
    """The word of each choice of words that makes for the most, or fewest, MACs, all else as large or as small.

    Of equals the first. A word that only stands where others have some values is decided there, before them: each of
    theirs is tried with the best of what it brings. Without layers there is nothing to count, and words are as
    :func:`with_words` takes them.
    """
    left = [c for c in space.choices if not ordered(space, c)]
    if not left or not space.outline.records:
        return {}
    places = _places(space, pick)
    found: dict[str, Value] = {}
    while left:
        ready = [c for c in left if not any(c.name in places[d.name] for d in left)]
        tried = []
        for c in ready:
            brought = {name: word for name, word in found.items() if c.name in places[name]}
            tried += [(c.name, v, {**brought, **places[c.name], c.name: v}) for v in c.values]
        macs = space.cost([with_words(space, pick, precision, given) for _, _, given in tried])["macs"].tolist()
        best: dict[str, tuple[int, Value]] = {}
        for (name, value, _), count in zip(tried, macs, strict=True):
            if name not in best or pick((count, best[name][0])) != best[name][0]:
                best[name] = count, value
        found.update((name, value) for name, (_, value) in best.items())
        left = [c for c in left if c.name not in best]
    return found


def _places(space: Space, pick: Pick) -> dict[str, dict[str, Value]]:
    """Each choice -> a word of every choice of words that it needs to be there."""
    found: dict[str, dict[str, Value]] = {}
    for c in space.choices:
        found[c.name] = {}
        for condition in c.when:
            found[c.name].update(found[condition.name])
            if not ordered(space, space.choices[space.column[condition.name]]):
                found[c.name][condition.name] = condition.values[pick(range(len(condition.values)))]
    return found


def with_words(space: Space, pick: Pick, precision: str, given: Mapping[str, Value]) -> Architecture:
    """``pick`` of every choice of numbers, ``precision`` where a choice has it, words as ``given``; of other words the
    last with ``max`` and the first with ``min``."""
    values: dict[str, Value] = {}
    for choice in space.choices:
        if not choice.present(values):
            continue
        if choice.name in given:
            values[choice.name] = given[choice.name]
        elif choice.name in space.outline.precision_choices and precision in choice.values:
            values[choice.name] = precision
        else:
            values[choice.name] = _picked(choice, pick)
    return space.architecture(values)


def _picked(choice: Choice, pick: Pick) -> Value:
    numbers = _numbers(choice)
    position: int = pick((v if numbers else i, i) for i, v in enumerate(choice.values))[1]
    return choice.values[position]


def _numbers(choice: Choice) -> bool:
    """Whether they are larger and smaller than each other; ``true`` is larger than ``false``."""
    return all(isinstance(v, int | float) for v in choice.values)
