"""The protocol of every search strategy."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from spaces import Architecture


@dataclass(frozen=True)
class Result:
    """What became of a proposal. ``trial``: its number in the order of proposals, from 0.

    ``values`` by objective; ``status`` ``ok`` or ``failed``, then with ``error``.
    """

    trial: int
    architecture: Architecture
    values: Mapping[str, float]
    status: str = "ok"
    error: str | None = None

    @property
    def usable(self) -> bool:
        """Whether it is ok and every value is finite."""
        return self.status == "ok" and all(math.isfinite(v) for v in self.values.values())


class Strategy(Protocol):
    """Proposes architectures and learns from their values.

    ``ask`` never blocks and never evaluates. ``tell`` takes results in any order, failures included, and is idempotent
    by trial. A strategy has no other state than its arguments and the events it has seen: replaying them rebuilds it.
    """

    def ask(self, count: int) -> list[Architecture]:
        """The next ``count`` proposals; their trial numbers go on from the last one's."""
        ...

    def tell(self, results: Sequence[Result]) -> None:
        """Learn from results of proposals made. Raises ``ValueError`` for a trial that was never proposed."""
        ...
