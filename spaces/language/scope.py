"""Where a choice belongs: its path, the conditions of the place, and the levels around it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from spaces.choice import When

LEVELS = ("network", "stage", "block", "layer")


@dataclass(frozen=True)
class Scope:
    """A place in the outline. ``levels``: (name, path, when) of the places around it, the outermost first."""

    path: str = ""
    when: When = ()
    levels: tuple[tuple[str, str, When], ...] = (("network", "", ()),)

    def enter(self, name: str | int, level: str | None = None, when: When | None = None) -> Scope:
        """The place ``name`` in this one, a ``level`` of its own if it is one, present under ``when`` (as this one)."""
        inner = replace(self, path=self.named(str(name)), when=self.when if when is None else when)
        return inner if level is None else inner.at(level)

    def at(self, level: str) -> Scope:
        """The same place, being this level."""
        kept = tuple(known for known in self.levels if known[0] != level)
        return replace(self, levels=(*kept, (level, self.path, self.when)))

    def within(self, when: When) -> Scope:
        """The same place, under these conditions."""
        return replace(self, when=when)

    def up(self, path: str) -> Scope:
        """The place ``path`` around this one, under the same conditions."""
        return replace(self, path=path)

    def level(self, name: str) -> Scope | None:
        """The place around this one that is this level."""
        found = next((known for known in self.levels if known[0] == name), None)
        return None if found is None else replace(self, path=found[1], when=found[2])

    def named(self, name: str) -> str:
        """Path of something in this place."""
        return f"{self.path}.{name}" if self.path else name

    def around(self, name: str) -> Iterator[str]:
        """Paths that ``name`` may mean here, the nearest first."""
        parts = self.path.split(".") if self.path else []
        for depth in range(len(parts), -1, -1):
            yield ".".join([*parts[:depth], name])
