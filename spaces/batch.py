"""Many architectures of one space as a matrix of codes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, overload

import numpy as np
from numpy.typing import NDArray

from spaces.architecture import Architecture, Codes

if TYPE_CHECKING:
    from spaces.space import Space


class Batch(Sequence[Architecture]):
    """``codes`` is (n, choices) int16: position of the value of each choice, -1 where the choice is absent.

    A sequence of :class:`Architecture`, made on demand. A slice gives a Batch, and so does :meth:`take`.
    """

    def __init__(self, space: Space, codes: Codes) -> None:
        self.space = space
        self.codes = codes
        codes.flags.writeable = False  # architectures look their values up when asked

    def __len__(self) -> int:
        return len(self.codes)

    @overload
    def __getitem__(self, index: int) -> Architecture: ...
    @overload
    def __getitem__(self, index: slice) -> Batch: ...
    def __getitem__(self, index: int | slice) -> Architecture | Batch:
        if isinstance(index, slice):
            return Batch(self.space, self.codes[index])
        return Architecture.of_codes(self.space.canonical, self.codes, range(len(self))[index])

    def __iter__(self) -> Iterator[Architecture]:
        canonical, codes, make = self.space.canonical, self.codes, Architecture.of_codes
        return (make(canonical, codes, row) for row in range(len(codes)))

    def take(self, rows: NDArray[np.intp]) -> Batch:
        """The architectures at these rows (k,)."""
        return Batch(self.space, self.codes[rows])
