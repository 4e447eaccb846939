"""Where a layer and its choices belong: path, conditions of the place, and the levels around it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from spaces.choice import When

LEVELS = ("network", "stage", "block", "layer")


@dataclass(frozen=True)
class Scope:
    """A place in the outline.

    ``path`` names what is there; ``names`` is the path of its choices, another one only where repeated elements are
    tied. ``levels``: (level, names, when) of the places around it, the outermost first.
    """

    path: str = ""
    names: str = ""
    when: When = ()
    levels: tuple[tuple[str, str, When], ...] = (("network", "", ()),)

    def enter(self, name: str | int, level: str | None = None, when: When | None = None) -> Scope:
        """The place ``name`` in this one, a ``level`` of its own if it is one, present under ``when`` (as this one)."""
        inner = replace(
            self,
            path=self.named(str(name)),
            names=self.choice(str(name)),
            when=self.when if when is None else when,
        )
        return inner if level is None else inner.at(level)

    def at(self, level: str) -> Scope:
        """The same place, being this level."""
        kept = tuple(known for known in self.levels if known[0] != level)
        return replace(self, levels=(*kept, (level, self.names, self.when)))

    def tied(self, names: str) -> Scope:
        """The same place, with the choices of another."""
        return replace(self, names=names)

    def within(self, when: When) -> Scope:
        """The same place, under these conditions."""
        return replace(self, when=when)

    def level(self, name: str) -> Scope | None:
        """The place around this one that is this level, as far as choices go."""
        found = next((known for known in self.levels if known[0] == name), None)
        return None if found is None else replace(self, names=found[1], when=found[2])

    def named(self, name: str) -> str:
        """Path of something in this place."""
        return f"{self.path}.{name}" if self.path else name

    def choice(self, key: str) -> str:
        """Name of a choice of this place."""
        return f"{self.names}.{key}" if self.names else key

    def around(self, name: str) -> Iterator[str]:
        """Choices that ``name`` may mean here, the nearest first."""
        parts = self.names.split(".") if self.names else []
        for depth in range(len(parts), -1, -1):
            yield ".".join([*parts[:depth], name])
