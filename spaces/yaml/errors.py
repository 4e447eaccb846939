"""What is wrong with a file: problems with a place, a stable code and a hint, reported all at once."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable
from dataclasses import dataclass

SHOWN = 100
"""Problems that a message lists. A hostile file has tens of thousands; beyond these they are only counted."""

LONGEST_NAME = 100
"""Characters of a name that is worth a guess; difflib is quadratic."""


@dataclass(frozen=True, slots=True)
class Mark:
    """A place in a file, both from 1."""

    line: int
    column: int

    @classmethod
    def after(cls, text: str) -> Mark:
        """The place that follows ``text`` at the start of a file, counting lines as YAML does."""
        lines = re.split("\r\n|[\n\r\x85\u2028\u2029]", text)
        return cls(len(lines), len(lines[-1]) + 1)


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong, where, and what to do about it. ``code`` is a short stable word."""

    file: str
    line: int
    column: int
    what: str
    code: str
    hint: str | None = None

    def __str__(self) -> str:
        hint = f"\n  hint: {self.hint}" if self.hint else ""
        return f"{self.file}:{self.line}:{self.column}: {self.what} [{self.code}]{hint}"


class SpecError(ValueError):
    """A file that cannot be used. ``problems`` is sorted by place; the message lists and counts them."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = tuple(sorted(problems, key=lambda problem: (problem.line, problem.column)))
        super().__init__(self.problems)  # as the only argument, so that it survives pickling to another process

    def __str__(self) -> str:
        lines = [str(problem) for problem in self.problems[:SHOWN]]
        count = len(self.problems)
        if count > SHOWN:
            lines.append(f"... and {count - SHOWN} more")
        return "\n".join([*lines, f"{count} problem{'' if count == 1 else 's'}; nothing was written"])


class Problems:
    """Collects what is wrong with one file. The same problem found twice is listed once.

    Its length counts what is said no more (see :meth:`settle`) too: a reader sees that it did not get what it wanted.
    """

    def __init__(self, file: str) -> None:
        self.file = file
        self._found: dict[Problem, None] = {}
        self._settled: set[Mark] = set()
        self._unsaid = 0

    def __len__(self) -> int:
        return len(self._found) + self._unsaid

    def add(self, mark: Mark, what: str, code: str, hint: str | None = None) -> None:
        """Note a problem and go on."""
        if mark in self._settled:
            self._unsaid += 1
        else:
            self._found[Problem(self.file, mark.line, mark.column, what, code, hint)] = None

    def settle(self, mark: Mark) -> None:
        """Say nothing more about this place: what is wrong there was said, and the rest would follow from it."""
        self._settled.add(mark)

    def asked(self, path: str, kind: str, among: Iterable[str] | None = None) -> None:
        """A reader asked for the value at ``path``; :class:`spaces.yaml.schema.Recorder` writes it down."""

    def stop(self, mark: Mark, what: str, code: str, hint: str | None = None) -> SpecError:
        """Note a problem after which nothing can be read: the error to raise, with all that was noted before."""
        self.add(mark, what, code, hint)
        return SpecError(self._found)

    def suggest(self, word: str, known: Iterable[str], noun: str = "names") -> str | None:
        """A hint for an unknown word: the nearest known one, else all of them; ``None`` if it would not be shown."""
        known = list(known)
        if len(self) >= SHOWN or not known:
            return None
        guess = nearest(word, known)
        return f"did you mean '{guess}'?" if guess is not None else f"known {noun}: {', '.join(known)}"

    def raise_if_any(self) -> None:
        """Raise :class:`SpecError` if anything was noted."""
        if self._found:
            raise SpecError(self._found)


def nearest(word: str, candidates: Iterable[str]) -> str | None:
    """The candidate most like ``word``, upper and lower case alike; ``None`` if none is near."""
    if len(word) > LONGEST_NAME:
        return None
    by_lower = {candidate.lower(): candidate for candidate in candidates}
    close = difflib.get_close_matches(word.lower(), by_lower, n=1)
    return by_lower[close[0]] if close else None


def clipped(text: str, most: int = 200) -> str:
    """The text cut to ``most`` characters."""
    return text if len(text) <= most else text[: most - 3] + "..."


def shown(text: str) -> str:
    """User's text as it may stand in a message: short, quoted, control characters escaped."""
    return repr(clipped(text, 60))
