"""Random numbers from (seed, purpose, index), never from a stream whose state must be saved.

Counter-based after Salmon et al. 2011, "Parallel Random Numbers: As Easy as 1, 2, 3": what is drawn for step 17
depends on nothing that was drawn before it, so a resumed, reordered or parallel search draws the same numbers.
"""

from __future__ import annotations

import hashlib
import json
import operator

import numpy as np


def _digest(seed: int, purpose: str, index: tuple[int, ...]) -> bytes:
    if not isinstance(purpose, str):
        raise TypeError(f"purpose must be text that says what the numbers are for, got {purpose!r}")
    # A JSON list is unambiguous: ("a", 1, 23) and ("a", 12, 3), or ("a1",) and ("a", 1), never give the same text.
    parts = [operator.index(seed), purpose, *map(operator.index, index)]
    return hashlib.sha256(json.dumps(parts).encode()).digest()


def seed_for(seed: int, purpose: str, *index: int) -> int:
    """The seed in [0, 2**63) that belongs to (seed, purpose, index), for libraries that want a number.

    Any integers serve, negative and NumPy ones too. The value is the same on every machine and in every version.

    Raises:
        TypeError: ``purpose`` is not text, or ``seed`` or an index is not an integer.
    """
    return int.from_bytes(_digest(seed, purpose, index)[:8], "big") >> 1


def generator(seed: int, purpose: str, *index: int) -> np.random.Generator:
    """A fresh generator that belongs to (seed, purpose, index).

    Its bits are those of Philox-4x64 under a 128-bit key and never change. How NumPy turns bits into numbers may
    change between its versions, so what must stay equal for years should use ``.random()`` and ``.integers()`` only.

    Raises:
        TypeError: ``purpose`` is not text, or ``seed`` or an index is not an integer.
    """
    key = int.from_bytes(_digest(seed, purpose, index)[8:24], "big")
    return np.random.Generator(np.random.Philox(key=key))
