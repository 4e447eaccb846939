"""Fields of a family that may be a constant or a choice, and the choices they give rise to."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from spaces.choice import Choice, Value, When
from spaces.outline import Chosen
from spaces.yaml import Mapping, Mark, Node, Problems, Scalar, Section, Sequence, nearest, shown

SCOPES = ("network", "stage", "block", "layer")
_WORDS = ("choice", "range")


@dataclass(frozen=True)
class Option:
    """The values a field may take (one: a constant) and the scope of the choice, ``None`` where it is written."""

    values: tuple[Value, ...]
    per: str | None
    mark: Mark

    @property
    def fixed(self) -> bool:
        """Whether nothing is left to choose."""
        return len(self.values) == 1


ReadValue = Callable[[Node, Problems], Value | None]
"""Turns a node into a value, or adds a problem and returns ``None``."""


def whole(at_least: int, at_most: int, what: str, odd: bool = False) -> ReadValue:
    """Reader of whole numbers within these limits."""

    def read(node: Node, problems: Problems) -> Value | None:
        if not isinstance(node, Scalar) or type(node.value) is not int:
            problems.add(node.mark, f"{what} must be a whole number", "wrong-type")
            return None
        if not at_least <= node.value <= at_most or (odd and node.value % 2 == 0):
            kind = "an odd number" if odd else "a number"
            limits = f"from {at_least} to {at_most}"
            problems.add(node.mark, f"{what} must be {kind} {limits}, got {node.value}", "out-of-range")
            return None
        return node.value

    return read


def take(section: Section, key: str, read: ReadValue, default: Value, problems: Problems) -> Option:
    """The option written under ``key``: a value, ``{choice: [...], per: scope}`` or ``{range: [from, to, step]}``."""
    node = section.child(key)
    fallback = Option((default,), None, section.mark(key))
    if node is None:
        return fallback
    if not (isinstance(node, Mapping) and {k.text for k, _ in node.entries} & set(_WORDS)):
        if isinstance(node, Mapping):
            for word, _ in node.entries:
                if guess := nearest(word.text, _WORDS):
                    what = f"unknown key {shown(f'{section.where}.{key}.{word.text}')}"
                    problems.add(word.mark, what, "unknown-key", f"did you mean '{guess}'?")
                    return fallback
        value = read(node, problems)
        return fallback if value is None else Option((value,), None, node.mark)
    inner = Section(node, f"{section.where}.{key}", problems)
    per = inner.text("per", None, among=SCOPES)
    listed, ranged = inner.child("choice"), inner.child("range")
    inner.finish()
    if listed is not None and ranged is not None:
        problems.add(node.mark, f"{key} has both a choice and a range", "ambiguous", "keep one of them")
    items = _items(listed, problems) if listed is not None else _steps(ranged, key, problems)
    values: dict[Value, None] = {}  # a dict, for its order
    for item in items:
        value = read(item, problems)
        if value is not None and value in values:
            problems.add(item.mark, f"value {value} stands twice in the choice of {key}", "duplicate-value")
        elif value is not None:
            values[value] = None
    return Option(tuple(values), per, node.mark) if values else fallback


def _items(node: Node, problems: Problems) -> tuple[Node, ...]:
    if not isinstance(node, Sequence):
        problems.add(node.mark, "a choice is a list of values", "wrong-type", "write choice: [a, b]")
        return ()
    if not node.items:
        problems.add(node.mark, "a choice needs at least one value", "empty-choice")
    return node.items


def _steps(node: Node | None, key: str, problems: Problems) -> tuple[Node, ...]:
    items = node.items if isinstance(node, Sequence) else ()
    numbers = [i.value for i in items if isinstance(i, Scalar) and type(i.value) is int]
    if node is None or len(numbers) != len(items) or len(numbers) not in (2, 3):
        if node is not None:
            problems.add(
                node.mark, f"range of {key} must be [from, to] or [from, to, step], whole numbers", "wrong-type"
            )
        return ()
    low, high, step = (*numbers, 1)[:3]
    if step < 1 or high < low or (high - low) // step > 10_000:
        problems.add(
            node.mark, f"range of {key} must ascend, with a step of at least 1 and at most 10000 values", "out-of-range"
        )
        return ()
    return tuple(Scalar(v, str(v), node.mark) for v in range(low, high + 1, step))


class Choices:
    """The choices a family gives rise to, in order, each made once."""

    def __init__(self) -> None:
        self._made: dict[str, Choice] = {}

    def field(self, option: Option, name: str, when: When) -> Value | Chosen:
        """The constant of a fixed option, else a reference to the choice ``name``, made on first use."""
        if option.fixed:
            return option.values[0]
        if name not in self._made:
            self._made[name] = Choice(name, option.values, when)
        return Chosen(name)

    @property
    def made(self) -> tuple[Choice, ...]:
        """All choices so far."""
        return tuple(self._made.values())
