"""What cannot be, and why: one error for all that is wrong with a spec or with the place it is used in."""

from __future__ import annotations

import re
from collections.abc import Iterable

from spaces.yaml.errors import nearest


class Refused(ValueError):
    """``what`` is wrong, a stable ``code``, and a ``hint`` at what to do; the message of a file adds the place."""

    def __init__(self, what: str, code: str, hint: str | None = None) -> None:
        self.what, self.code, self.hint = what, code, hint
        super().__init__(what, code, hint)

    def __str__(self) -> str:
        return f"{self.what} [{self.code}]" + (f"\n  hint: {self.hint}" if self.hint else "")


def unknown(word: str, noun: str, known: Iterable[str]) -> Refused:
    """The error for a word that no registry has, with the nearest that one has."""
    known = sorted(known)
    guess = nearest(word, known)
    hint = f"did you mean '{guess}'?" if guess is not None else f"known: {', '.join(known)}"
    return Refused(f"unknown {noun} {word!r}", "unknown-name", hint)


def parted(word: str, known: Iterable[str]) -> tuple[str, float | None]:
    """(name, number) of a word such as ``lp2.4`` or ``absmax``; names that end in digits are known as they stand."""
    match = re.fullmatch(r"([a-z_]+)(\d+(?:\.\d+)?)", word)
    return (word, None) if word in known or match is None else (match[1], float(match[2]))
