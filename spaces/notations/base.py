"""What a notation is."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Protocol

from spaces.architecture import Architecture
from spaces.choice import Value

if TYPE_CHECKING:
    from spaces.space import Space


class WrongNotation(ValueError):
    """Text that is not of the notation; the message says where, and what is expected."""


class Notation(Protocol):
    """Text that other tools write for the architectures of a space."""

    def parse(self, space: Space, text: str) -> Mapping[str, Value]:
        """Value of every present choice. Raises :class:`WrongNotation`."""
        ...

    def format(self, space: Space, architecture: Architecture) -> str:
        """The text; ``parse`` reads it back."""
        ...
