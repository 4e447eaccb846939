"""An architecture: a value for every active choice, precision included."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from spaces.choice import Choice, Value

Codes = NDArray[np.int16]


class Architecture(Mapping[str, Value]):
    """Immutable mapping from choice name to value; choices that are not active are not there.

    Two architectures are equal if their keys are. Made by a space (``space.architecture``), which validates it.
    """

    __slots__ = ("_json", "_key", "_source", "_values")

    def __init__(self, values: Mapping[str, Value]) -> None:
        self._values: dict[str, Value] | None = dict(values)
        self._source: tuple[Canonical, Codes, int] | None = None
        self._json: str | None = None
        self._key: str | None = None

    @classmethod
    def of_codes(cls, canonical: Canonical, codes: Codes, row: int) -> Architecture:
        """Row ``row`` of a matrix that never changes; its values are looked up when they are asked for."""
        made = cls.__new__(cls)
        made._source = (canonical, codes, row)
        made._values = made._json = made._key = None
        return made

    def codes_of(self, canonical: Canonical) -> Codes | None:
        """Row of codes (choices,), if this comes from the space with these canonical pieces."""
        if self._source is None or self._source[0] is not canonical:
            return None
        _, codes, row = self._source
        found: Codes = codes[row]
        return found

    def _dict(self) -> dict[str, Value]:
        if self._values is None:
            assert self._source is not None
            canonical, codes, row = self._source
            self._values = canonical.values(codes[row].tolist())
        return self._values

    def __getitem__(self, name: str) -> Value:
        return self._dict()[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._dict())

    def __len__(self) -> int:
        return len(self._dict())

    def __hash__(self) -> int:
        return hash(self.key)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Architecture) and self.key == other.key

    def __repr__(self) -> str:
        return f"Architecture({self.key}, {self._dict()})"

    @property
    def key(self) -> str:
        """16 hex digits of SHA-256 over canonical JSON; typed: 8, 8.0 and true give different keys."""
        if self._key is None:
            self._key = hashlib.sha256(self.to_json().encode()).hexdigest()[:16]
        return self._key

    def to_json(self) -> str:
        """Canonical JSON: sorted names, no spaces."""
        if self._json is None:
            if self._source is not None:
                canonical, codes, row = self._source
                self._json = canonical.json(codes[row].tolist())
            else:
                self._json = json.dumps(self._values, sort_keys=True, separators=(",", ":"), allow_nan=False)
        return self._json

    @classmethod
    def from_json(cls, text: str) -> Architecture:
        """Read :meth:`to_json`. Raises ``ValueError`` unless it is an object of plain values."""
        values = json.loads(text)
        if not isinstance(values, dict) or not all(isinstance(v, bool | int | float | str) for v in values.values()):
            raise ValueError("an architecture is a JSON object from choice names to numbers, strings or booleans")
        return cls(values)


class Canonical:
    """Values and canonical JSON of rows of codes, from pieces made once."""

    def __init__(self, choices: Sequence[Choice]) -> None:
        self._names = [c.name for c in choices]
        self._values = [c.values for c in choices]
        order = sorted(range(len(choices)), key=lambda i: choices[i].name)
        self._pieces = [
            (i, [f"{json.dumps(choices[i].name)}:{json.dumps(v, allow_nan=False)}" for v in choices[i].values])
            for i in order
        ]

    def values(self, row: Sequence[int]) -> dict[str, Value]:
        """Name -> value of the choices that are present."""
        return {
            name: values[code] for name, values, code in zip(self._names, self._values, row, strict=True) if code >= 0
        }

    def json(self, row: Sequence[int]) -> str:
        """What ``Architecture(values(row)).to_json()`` says."""
        return "{" + ",".join([pieces[row[i]] for i, pieces in self._pieces if row[i] >= 0]) + "}"
