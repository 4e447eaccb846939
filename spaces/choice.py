"""A choice: one decision with a name and its values, and when it is there at all."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

Value = bool | int | float | str


def same(a: Value, b: Value) -> bool:
    """Typed equality: 8, 8.0 and true are three values."""
    return type(a) is type(b) and a == b


@dataclass(frozen=True)
class Condition:
    """True where the choice ``name`` is present and has one of ``values``."""

    name: str
    values: tuple[Value, ...]

    def __str__(self) -> str:
        """Like ``stages.0.depth in [2, 3]``."""
        return f"{self.name} in {list(self.values)}"

    def holds(self, values: Mapping[str, Value]) -> bool:
        """Whether it is true, given the values of the choices that are present."""
        return self.name in values and any(same(values[self.name], v) for v in self.values)


When = tuple[Condition, ...]
"""All of these must hold; the empty one always does."""


def holds(when: When, values: Mapping[str, Value]) -> bool:
    """Whether all conditions are true, given the values of the choices that are present."""
    return all(condition.holds(values) for condition in when)


@dataclass(frozen=True)
class Choice:
    """One decision. ``ordered`` values (numbers) have neighbours; others are categories.

    ``when`` makes it conditional on earlier choices; where a condition fails the choice is absent.

    Raises:
        ValueError: no values, or a value twice.
    """

    name: str
    values: tuple[Value, ...]
    when: When = ()

    def __post_init__(self) -> None:
        if not self.values:
            raise ValueError(f"choice {self.name} has no values")
        if len({(type(v), v) for v in self.values}) != len(self.values):
            raise ValueError(f"choice {self.name} has a value twice: {list(self.values)}")

    @property
    def ordered(self) -> bool:
        """Whether the values are numbers in ascending order."""
        numbers = [v for v in self.values if isinstance(v, int | float) and not isinstance(v, bool)]
        return len(numbers) == len(self.values) and list(numbers) == sorted(numbers)

    def present(self, values: Mapping[str, Value]) -> bool:
        """Whether it is there, given the values of all earlier choices that are."""
        return holds(self.when, values)

    def code(self, value: object) -> int:
        """Position of ``value`` among the values. Raises ``ValueError`` that lists them."""
        for position, known in enumerate(self.values):
            if type(value) is type(known) and value == known:
                return position
        raise ValueError(f"{self.name}: {value!r} is not a value of this choice; values: {list(self.values)}")


def allowed_codes(choice: Choice, earlier: Iterable[Choice]) -> dict[int, frozenset[int]]:
    """Position of each choice that ``choice`` depends on -> its codes under which ``choice`` is present.

    Raises ``ValueError`` if a condition names no earlier choice, or a value it does not have.
    """
    known = {c.name: (i, c) for i, c in enumerate(earlier)} if choice.when else {}
    found: dict[int, frozenset[int]] = {}
    for condition in choice.when:
        if condition.name not in known:
            raise ValueError(f"choice {choice.name} depends on {condition.name}, which is not an earlier choice")
        i, parent = known[condition.name]
        codes = frozenset(parent.code(value) for value in condition.values)
        found[i] = found.get(i, codes) & codes
    return found
