"""The protocol of every search strategy."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from spaces import Architecture, Batch


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
        """The next ``count`` proposals; their trial numbers go on from the last one's.

        Our own strategies propose nothing twice, and fewer where the space has no others.
        """
        ...

    def tell(self, results: Sequence[Result]) -> None:
        """Learn from results of proposals made. Raises ``ValueError`` for a trial that was never proposed."""
        ...


Ahead = Callable[[Batch, Collection[str]], Mapping[str, NDArray[np.float64]]]


@dataclass(frozen=True)
class Signals:
    """What a strategy may ask for before anything is evaluated.

    ``ahead``: those of the named costs of architectures (n,) that are counted or predicted; limits on them are kept by
    every proposal, as long as the strategy finds one that does.
    """

    ahead: Ahead | None = None
