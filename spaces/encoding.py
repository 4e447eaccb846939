"""Architectures as float features, by table look-up."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from spaces.architecture import Codes
from spaces.choice import Choice

_ROWS = 1024  # at a time: what is written for one choice is still in the cache for the next


class Encoding:
    """One-hot for every choice; ordered ones add their rank in 0..1, conditional ones a presence flag.

    An absent choice is all zeros, so that presence is visible in every column of it.
    """

    def __init__(self, choices: Sequence[Choice]) -> None:
        names: list[str] = []
        self._tables: list[NDArray[np.float32]] = []
        for choice in choices:
            k = len(choice.values)
            columns = [np.eye(k, dtype=np.float32)]
            names += [f"{choice.name}={value}" for value in choice.values]
            if choice.ordered and k > 2:
                columns.append(np.linspace(0, 1, k, dtype=np.float32)[:, None])
                names.append(choice.name)
            if choice.when:
                columns.append(np.ones((k, 1), np.float32))
                names.append(f"{choice.name} present")
            table = np.concatenate(columns, axis=1)
            self._tables.append(np.concatenate([table, np.zeros_like(table[:1])]))  # code -1 reads the last row
        self.names = tuple(names)

    def __call__(self, codes: Codes) -> NDArray[np.float32]:
        """(n, choices) codes to (n, d) features."""
        features = np.empty((len(codes), len(self.names)), np.float32)
        if self._tables:
            for start in range(0, len(codes), _ROWS):
                part = codes[start : start + _ROWS].T.astype(np.intp)
                # wrap: code -1 reads the last row of the table
                pieces = [
                    table.take(column, axis=0, mode="wrap") for table, column in zip(self._tables, part, strict=True)
                ]
                np.concatenate(pieces, axis=1, out=features[start : start + _ROWS])
        return features
