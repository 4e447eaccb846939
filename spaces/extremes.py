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
    numbers = all(isinstance(v, int | float) for v in choice.values)
    return numbers or choice.name in space.outline.precision_choices


def words(space: Space, pick: Pick, precision: str) -> dict[str, Value]:
    """The word of each choice of words that makes for the most, or fewest, MACs, all else as large or as small.

    Of equals the first; without layers there is nothing to count, and words are as :func:`with_words` takes them.
    """
    chosen = [c for c in space.choices if not ordered(space, c)]
    if not chosen or not space.outline.records:
        return {}
    tried = [(c.name, v) for c in chosen for v in c.values]
    macs = space.cost([with_words(space, pick, precision, {name: v}) for name, v in tried])["macs"].tolist()
    best: dict[str, tuple[int, Value]] = {}
    for (name, value), count in zip(tried, macs, strict=True):
        if name not in best or pick((count, best[name][0])) != best[name][0]:
            best[name] = count, value
    return {name: value for name, (_, value) in best.items()}


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
    numbers = all(isinstance(v, int | float) for v in choice.values)
    position: int = pick((v if numbers else i, i) for i, v in enumerate(choice.values))[1]
    return choice.values[position]
