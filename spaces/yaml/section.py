"""A mapping taken apart against what is expected of it, collecting every problem."""

from __future__ import annotations

from collections.abc import Collection
from typing import TypeVar

from spaces.yaml.errors import Mark, Problems, shown
from spaces.yaml.reader import Mapping, Node, Scalar, Sequence

D = TypeVar("D")  # the type of a default: with int a whole number is an int, with None it is int | None


def describe(node: Node) -> str:
    """What a node is, for messages: ``a list``, ``text 'three'``, ``number 1.5``."""
    match node:
        case Mapping():
            return "a mapping"
        case Sequence():
            return "a list"
        case Scalar(value=None):
            return "empty"
        case Scalar(value=str() as text):
            return f"text {shown(text)}"
        case Scalar(value=bool() as switch):
            return str(switch).lower()
        case Scalar():
            return f"number {node.value}"


class Section:
    """The mapping at the dotted path ``where``. Asking for a key makes it known; ``finish`` reports the others.

    Each getter returns its default if the key is absent, or if its value is wrong, which becomes a problem. ``None`` as
    node is an absent section, and anything but a mapping is a problem; both behave as empty.
    """

    def __init__(self, node: Node | None, where: str, problems: Problems, mark: Mark | None = None) -> None:
        self.where = where
        self._problems = problems
        self._mark = node.mark if node is not None else mark or Mark(1, 1)
        self._entries: dict[str, tuple[Scalar, Node]] = {}
        self._known: dict[str, None] = {}  # a dict, for its order
        if isinstance(node, Mapping):
            self._entries = {key.text: (key, value) for key, value in node.entries}
        elif node is not None:
            problems.add(node.mark, f"'{where}' must be a mapping, not {describe(node)}", "wrong-type")

    @property
    def mapping_mark(self) -> Mark:
        """Where the mapping starts; for an absent one, where the mapping around it does."""
        return self._mark

    def has(self, key: str) -> bool:
        """Whether the key is there."""
        return self.child(key) is not None

    def mark(self, key: str) -> Mark:
        """Where the value of a key stands, else where the mapping does."""
        node = self.child(key)
        return self._mark if node is None else node.mark

    def child(self, key: str) -> Node | None:
        """The node of a key, unchecked."""
        self._known[key] = None
        self._problems.asked(self._path(key), "any")
        return self._entries[key][1] if key in self._entries else None

    def require(self, key: str) -> Node | None:
        """The node of a key that must be there."""
        node = self.child(key)
        if node is None:
            self._problems.add(self._mark, f"missing key '{self._path(key)}'", "missing-key")
        return node

    def section(self, key: str) -> Section:
        """The section under a key."""
        self._problems.asked(self._path(key), "object")
        return Section(self.child(key), self._path(key), self._problems, self._mark)

    def integer(
        self, key: str, default: D, at_least: int | None = None, at_most: int | None = None, hint: str | None = None
    ) -> int | D:
        """A whole number within these limits; ``hint`` says why, or what to do."""
        node = self.child(key)
        self._problems.asked(self._path(key), "integer")
        if node is None:
            return default
        if not isinstance(node, Scalar) or not isinstance(node.value, int) or isinstance(node.value, bool):
            return self._wrong(key, node, "a whole number", default)
        return node.value if self._within(key, node, node.value, None, at_least, at_most, hint) else default

    def number(
        self,
        key: str,
        default: D,
        above: float | None = None,
        at_least: float | None = None,
        at_most: float | None = None,
    ) -> float | D:
        """A number within these limits; a whole one is as good."""
        node = self.child(key)
        self._problems.asked(self._path(key), "number")
        if node is None:
            return default
        if not isinstance(node, Scalar) or not isinstance(node.value, int | float) or isinstance(node.value, bool):
            return self._wrong(key, node, "a number", default)
        return float(node.value) if self._within(key, node, node.value, above, at_least, at_most) else default

    def text(self, key: str, default: D, among: Collection[str] | None = None) -> str | D:
        """A text, one of ``among`` if that is given."""
        node = self.child(key)
        self._problems.asked(self._path(key), "string", among)
        if node is None:
            return default
        if not isinstance(node, Scalar) or not isinstance(node.value, str):
            return self._wrong(key, node, "text", default)
        return node.value if self._named(key, node, node.value, among) else default

    def texts(self, key: str, default: D, among: Collection[str] | None = None) -> list[str] | D:
        """A list of different texts, each one of ``among`` if that is given."""
        node = self.child(key)
        self._problems.asked(self._path(key), "strings", among)
        if node is None:
            return default
        if not isinstance(node, Sequence):
            return self._wrong(key, node, "a list of texts", default)
        found = []
        for position, item in enumerate(node.items):
            path = f"{key}.{position}"
            if not isinstance(item, Scalar) or not isinstance(item.value, str):
                self._wrong(path, item, "text", None)
            elif item.value in found:
                what = f"{shown(item.value)} stands twice in '{self._path(key)}'"
                self._problems.add(item.mark, what, "duplicate-value", "delete one of the two")
            elif self._named(path, item, item.value, among):
                found.append(item.value)
        return found if len(found) == len(node.items) else default

    def boolean(self, key: str, default: D) -> bool | D:
        """``true`` or ``false``."""
        node = self.child(key)
        self._problems.asked(self._path(key), "boolean")
        if node is None:
            return default
        if not isinstance(node, Scalar) or not isinstance(node.value, bool):
            return self._wrong(key, node, "true or false", default)
        return node.value

    def finish(self) -> None:
        """Report every key that was never asked for."""
        for text, (key, _) in self._entries.items():
            if text not in self._known:
                hint = self._problems.suggest(text, self._known, "keys")
                self._problems.add(key.mark, f"unknown key {shown(self._path(text))}", "unknown-key", hint)

    def _path(self, key: str) -> str:
        return f"{self.where}.{key}" if self.where else key

    def _wrong(self, key: str, node: Node, wanted: str, default: D) -> D:
        what = f"'{self._path(key)}' must be {wanted}, not {describe(node)}"
        self._problems.add(node.mark, what, "wrong-type")
        return default

    def _named(self, key: str, node: Node, name: str, among: Collection[str] | None) -> bool:
        if among is None or name in among:
            return True
        hint = self._problems.suggest(name, among)
        self._problems.add(node.mark, f"unknown name {shown(name)} for '{self._path(key)}'", "unknown-name", hint)
        return False

    def _within(
        self, key: str, node: Node, value: float, above: float | None, at_least: float | None, at_most: float | None,
        hint: str | None = None,
    ) -> bool:  # fmt: skip
        if (
            (above is None or value > above)
            and (at_least is None or value >= at_least)
            and (at_most is None or value <= at_most)
        ):
            return True
        limits = (("above", above), ("at least", at_least), ("at most", at_most))
        wanted = " and ".join(f"{word} {limit}" for word, limit in limits if limit is not None)
        self._problems.add(node.mark, f"'{self._path(key)}' must be {wanted}, not {value}", "out-of-range", hint)
        return False
