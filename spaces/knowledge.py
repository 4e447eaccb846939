"""What is known of choices at one place of a network: which values they may still have there."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from spaces.choice import Choice, Condition, Value, When

_Typed = tuple[type, Value] | None
ABSENT = None
"""Stands among the values of a choice that may not be there."""


@dataclass(frozen=True)
class Knowledge:
    """Values that choices may still have, and conditions that do not all hold together. Changes make a new one."""

    choices: Mapping[str, Choice]
    values: Mapping[str, frozenset[_Typed]] = field(default_factory=dict)
    false: tuple[frozenset[Condition], ...] = ()

    def of(self, name: str) -> frozenset[_Typed]:
        """The values that this choice may have here."""
        if name in self.values:
            return self.values[name]
        choice = self.choices[name]
        known = frozenset((type(v), v) for v in choice.values)
        there = self.holds(choice.when)
        return known if there else known | {ABSENT} if there is None else frozenset({ABSENT})

    def holds(self, when: When) -> bool | None:
        """Whether these conditions hold here, ``None`` if that depends."""
        possible = [(self.of(c.name), _typed(c)) for c in when]
        if any(not values & wanted for values, wanted in possible):
            return False
        if any(_implied(f, when) for f in self.false):
            return False
        return True if all(values <= wanted for values, wanted in possible) else None

    def where(self, when: When) -> Knowledge:
        """What is known where these conditions hold as well."""
        known = dict(self.values)
        waiting = list(when)
        while waiting:
            c = waiting.pop()
            known[c.name] = known.get(c.name, self.of(c.name)) & _typed(c)
            waiting += self.choices[c.name].when  # it is there
        return Knowledge(self.choices, known, self.false)

    def without(self, when: When) -> Knowledge:
        """What is known where these conditions do not all hold."""
        open_ = [c for c in when if not self.of(c.name) <= _typed(c)]
        if len(open_) > 1:
            return Knowledge(self.choices, self.values, (*self.false, frozenset(open_)))
        c = open_[0] if open_ else when[0]
        return Knowledge(self.choices, {**self.values, c.name: self.of(c.name) - _typed(c)}, self.false)

    @property
    def possible(self) -> bool:
        """Whether anything is left: else the place is never reached."""
        return all(self.values.values())


def _typed(c: Condition) -> frozenset[_Typed]:
    return frozenset((type(v), v) for v in c.values)


def _implied(together: frozenset[Condition], when: When) -> bool:
    """Whether ``when`` says that all of these hold together."""
    return all(any(c.name == w.name and _typed(w) <= _typed(c) for w in when) for c in together)
