"""Published notations of architectures, one file each: text to the values of a space and back."""

from __future__ import annotations

from spaces.notations.base import Notation, WrongNotation

NOTATIONS: dict[str, Notation] = {}

__all__ = ["NOTATIONS", "Notation", "WrongNotation"]
