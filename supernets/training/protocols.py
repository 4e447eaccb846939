"""What training needs from outside: batches to learn from, and a place for checkpoints."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, Protocol

from torch import Tensor


class Batches(Protocol):
    """Training data. Everything drawn depends on the epoch number alone, so that an epoch can be repeated exactly."""

    def epoch(self, number: int) -> Iterator[tuple[Tensor, Tensor]]:
        """Mini-batches (images (b, c, h, w) float32, labels (b,) int64) of this epoch.

        Of text: tokens (b, t) and the tokens after them (b, t), int64. Of pictures: small and large ones, float32.
        """
        ...

    @property
    def loss(self) -> str:
        """Name in :data:`supernets.training.losses.LOSSES`."""
        ...

    @property
    def steps(self) -> int:
        """Mini-batches per epoch."""
        ...

    def calibration(self) -> Iterable[Tensor]:
        """Batches of training images, not augmented, for the statistics of a subnet; read again for each."""
        ...


class Checkpoints(Protocol):
    """Where the state of a training goes after every epoch."""

    def save(self, state: bytes, facts: dict[str, Any]) -> None:
        """Keep this state, durably, before returning."""
        ...

    def latest(self) -> tuple[bytes, dict[str, Any]] | None:
        """The newest state that is whole, or ``None``."""
        ...
