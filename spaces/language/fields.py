"""Fields that may be a constant or a choice, as they are written.

``3`` | ``{choice: [3, 5]}`` | ``{range: [8, 32, 8]}`` | ``{tie: name}``, the first two with ``per: scope`` and
``when: {name: value | [values] | {at_least: v, at_most: v}}``, which needs ``else: value``.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass, field

from spaces.choice import Value, same
from spaces.language.scope import LEVELS
from spaces.yaml import Mapping, Mark, Node, Problems, Scalar, Section, Sequence, describe, nearest, shown

WORDS = ("choice", "range", "tie")
MOST_VALUES = 10_000
ReadValue = Callable[[Node, Problems], Value | None]
"""Turns a node into a value, or adds a problem and returns ``None``."""


@dataclass(frozen=True)
class Need:
    """One entry of a ``when``: the choice as it is named there, and its values or their bounds."""

    name: str
    mark: Mark
    values: tuple[Value, ...] | None = None
    at_least: float | None = None
    at_most: float | None = None

    def keeps(self, value: Value) -> bool:
        """Whether the condition is true for this value of the choice."""
        if self.values is not None:
            return any(same(value, wanted) for wanted in self.values)
        if isinstance(value, str | bool):
            return False
        above = self.at_least is None or value >= self.at_least
        return above and (self.at_most is None or value <= self.at_most)


@dataclass(frozen=True)
class Option:
    """The values a field may take (one: a constant) and the scope of the choice, ``None`` where it is written.

    ``tie`` names a choice to read instead; ``needs`` are the conditions on the choice, ``otherwise`` the value where
    they fail. ``read`` is the reader of one value; ``marks`` are the places of the values, where they have their own.
    """

    values: tuple[Value, ...]
    per: str | None
    mark: Mark
    needs: tuple[Need, ...] = ()
    otherwise: Value | None = None
    tie: str | None = None
    read: ReadValue | None = field(default=None, compare=False)
    marks: tuple[Mark, ...] = field(default=(), compare=False)

    @property
    def fixed(self) -> bool:
        """Whether nothing is left to choose."""
        return len(self.values) == 1 and self.tie is None and not self.needs


# -- readers of one value


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


def fraction(at_least: float, at_most: float, what: str) -> ReadValue:
    """Reader of numbers within these limits; whole ones stay whole."""

    def read(node: Node, problems: Problems) -> Value | None:
        value = node.value if isinstance(node, Scalar) else None
        if not isinstance(value, int | float) or isinstance(value, bool):
            problems.add(node.mark, f"{what} must be a number", "wrong-type")
            return None
        if not at_least <= value <= at_most:
            limits = f"from {at_least:g} to {at_most:g}"
            problems.add(node.mark, f"{what} must be a number {limits}, got {value}", "out-of-range")
            return None
        return value

    return read


def among(names: Collection[str], what: str) -> ReadValue:
    """Reader of one of these names."""

    def read(node: Node, problems: Problems) -> Value | None:
        if isinstance(node, Scalar) and isinstance(node.value, str) and node.value in names:
            return node.value
        said = shown(node.value) if isinstance(node, Scalar) and isinstance(node.value, str) else describe(node)
        problems.add(node.mark, f"unknown {what} {said}", "unknown-name", problems.suggest(said.strip("'"), names))
        return None

    return read


def flag(node: Node, problems: Problems) -> Value | None:
    """Reader of ``true`` or ``false``."""
    if isinstance(node, Scalar) and isinstance(node.value, bool):
        return node.value
    problems.add(node.mark, f"must be true or false, not {describe(node)}", "wrong-type")
    return None


def anything(node: Node, problems: Problems) -> Value | None:
    """Reader of any number, text or boolean."""
    if isinstance(node, Scalar) and node.value is not None:
        return node.value
    problems.add(node.mark, f"must be a number, text, true or false, not {describe(node)}", "wrong-type")
    return None


# -- options


def take(section: Section, key: str, read: ReadValue, default: Value, problems: Problems) -> Option:
    """The option written under ``key``; the default if it is not there, or if it is wrong, which becomes a problem."""
    node = section.child(key)
    problems.asked(f"{section.where}.{key}", "option")
    if node is None:
        return Option((default,), None, section.mark(key), read=read)
    found = option(node, f"{section.where}.{key}", key, read, problems)
    return Option((default,), None, node.mark, read=read) if found is None else found


def is_option(node: Node) -> bool:
    """Whether a node says what may be chosen, and is not a plain value or another mapping."""
    return isinstance(node, Mapping) and not {k.text for k, _ in node.entries}.isdisjoint(WORDS)


def option(node: Node, where: str, what: str, read: ReadValue, problems: Problems) -> Option | None:
    """The option that a node says; ``None`` if it is wrong."""
    if not is_option(node):
        if isinstance(node, Mapping):
            for word, _ in node.entries:
                if guess := nearest(word.text, WORDS):
                    problems.add(
                        word.mark,
                        f"unknown key {shown(f'{where}.{word.text}')}",
                        "unknown-key",
                        f"did you mean '{guess}'?",
                    )
                    return None
        value = read(node, problems)
        return None if value is None else Option((value,), None, node.mark, read=read)
    inner = Section(node, where, problems)
    written = [word for word in WORDS if inner.has(word)]
    if len(written) > 1:
        problems.add(node.mark, f"{what} has both a {' and a '.join(written)}", "ambiguous", "keep one of them")
    if written == ["tie"]:
        name = inner.text("tie", "")
        inner.finish()
        return Option((), None, node.mark, tie=name, read=read) if name else None
    per = inner.text("per", None, among=LEVELS)
    needs = read_when(inner, problems)
    otherwise = inner.child("else")
    if (needs != ()) != (otherwise is not None):
        missing = "else: the value where the condition fails" if otherwise is None else "when: the condition"
        problems.add(node.mark, f"{what} needs {missing}", "missing-key")
    inner.finish()
    values = _values(inner, written[0], what, read, problems)
    fallback = None if otherwise is None else read(otherwise, problems)
    known, marks = tuple(value for value, _ in values), tuple(mark for _, mark in values)
    return Option(known, per, node.mark, needs, fallback, None, read, marks) if values else None


def _values(inner: Section, word: str, what: str, read: ReadValue, problems: Problems) -> list[tuple[Value, Mark]]:
    node = inner.child(word)
    assert node is not None
    items = _items(node, problems) if word == "choice" else _steps(node, what, problems)
    values: list[tuple[Value, Mark]] = []
    for item in items:
        value = read(item, problems)
        if value is None:
            continue
        if any(same(value, known) for known, _ in values):
            problems.add(item.mark, f"value {value} stands twice in the choice of {what}", "duplicate-value")
        else:
            values.append((value, item.mark))
    return values


def read_when(section: Section, problems: Problems) -> tuple[Need, ...]:
    """The conditions under ``when``."""
    node = section.child("when")
    if node is None:
        return ()
    if not isinstance(node, Mapping) or not node.entries:
        problems.add(node.mark, "when must be a mapping from names of choices to their values", "wrong-type")
        return ()
    needs = []
    for key, value in node.entries:
        if isinstance(value, Mapping):
            bounds = Section(value, f"when.{key.text}", problems)
            low, high = bounds.number("at_least", None), bounds.number("at_most", None)
            bounds.finish()
            if low is None and high is None:
                problems.add(value.mark, f"when {key.text}: write a value, a list, or at_least, at_most", "missing-key")
            needs.append(Need(key.text, key.mark, None, low, high))
            continue
        items = value.items if isinstance(value, Sequence) else (value,)
        wanted = [v for item in items if (v := anything(item, problems)) is not None]
        needs.append(Need(key.text, key.mark, tuple(wanted)))
    return tuple(needs)


def _items(node: Node, problems: Problems) -> tuple[Node, ...]:
    if not isinstance(node, Sequence):
        problems.add(node.mark, "a choice is a list of values", "wrong-type", "write choice: [a, b]")
        return ()
    if not node.items:
        problems.add(node.mark, "a choice needs at least one value", "empty-choice")
    return node.items


def _steps(node: Node, what: str, problems: Problems) -> tuple[Node, ...]:
    items = node.items if isinstance(node, Sequence) else ()
    numbers = [i.value for i in items if isinstance(i, Scalar) and type(i.value) is int]
    if len(numbers) != len(items) or len(numbers) not in (2, 3):
        problems.add(node.mark, f"range of {what} must be [from, to] or [from, to, step], whole numbers", "wrong-type")
        return ()
    low, high, step = (*numbers, 1)[:3]
    if step < 1 or high < low or (high - low) // step >= MOST_VALUES:
        said = f"range of {what} must ascend, with a step of at least 1 and at most {MOST_VALUES} values"
        problems.add(node.mark, said, "out-of-range")
        return ()
    return tuple(Scalar(v, str(v), node.mark) for v in range(low, high + 1, step))
