"""An architecture: a value for every active choice, precision included."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from functools import cached_property

from spaces.choice import Value


class Architecture(Mapping[str, Value]):
    """Immutable mapping from choice name to value; choices that are not active are not there.

    Two architectures are equal if their keys are. Made by a space (``space.architecture``), which validates it.
    """

    def __init__(self, values: Mapping[str, Value]) -> None:
        self._values = dict(values)

    def __getitem__(self, name: str) -> Value:
        return self._values[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)

    def __hash__(self) -> int:
        return hash(self.key)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Architecture) and self.key == other.key

    def __repr__(self) -> str:
        return f"Architecture({self.key}, {self._values})"

    @cached_property
    def key(self) -> str:
        """16 hex digits of SHA-256 over canonical JSON; typed: 8, 8.0 and true give different keys."""
        return hashlib.sha256(self.to_json().encode()).hexdigest()[:16]

    def to_json(self) -> str:
        """Canonical JSON: sorted names, no spaces."""
        return json.dumps(self._values, sort_keys=True, separators=(",", ":"), allow_nan=False)

    @classmethod
    def from_json(cls, text: str) -> Architecture:
        """Read :meth:`to_json`. Raises ``ValueError`` unless it is an object of plain values."""
        values = json.loads(text)
        if not isinstance(values, dict) or not all(isinstance(v, bool | int | float | str) for v in values.values()):
            raise ValueError("an architecture is a JSON object from choice names to numbers, strings or booleans")
        return cls(values)
