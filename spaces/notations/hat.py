"""``notation: hat``: the ten features by which HAT's latency tables know a translation network.

The text is ten numbers with commas between them, in the order of :data:`NAMES`, or ``name=value`` in any order. Most
features are averages over layers, so many networks share one text. Reading gives the most even of them, front-loaded:
each average becomes the lexicographically smallest sequence of layer values that never rises and has this mean. Writing
gives the ten numbers, so a text that was written so reads and writes back to itself.

The tables count the encoder layers that a decoder layer attends to: 1, 2, 3 for a ``cross_reach`` of -1, 1, 2.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from math import isclose, isfinite
from typing import TYPE_CHECKING

from spaces.architecture import Architecture
from spaces.choice import Value
from spaces.notations.base import WrongNotation
from spaces.notations.hat_features import NAMES, Slot, features
from spaces.yaml import nearest, shown

if TYPE_CHECKING:
    from spaces.space import Space

_TOLERANCE = 1e-6  # of a sum over layers: averages are written with some sixteen digits


class Hat:
    """The notation, of spaces of ``family: transformer``."""

    def parse(self, space: Space, text: str) -> Mapping[str, Value]:
        """Value of every present choice. Raises :class:`WrongNotation`."""
        values: dict[str, Value] = {}
        for feature, number in zip(features(space), _numbers(text), strict=True):
            count = None if feature.depth is None else int(feature.depth.read(values))
            slots = feature.slots[:count]
            found = _sequence(slots, number * len(slots))
            if found is None:
                known = ", ".join(map(str, slots[0].numbers))
                wanted = "one of" if feature.depth is None else f"a mean over {len(slots)} layers of"
                raise WrongNotation(f"{feature.name} {number!r} is not {wanted} {known}")
            for slot, n in zip(slots, found, strict=True):
                if slot.choice is not None and values.setdefault(slot.choice, slot.numbers[n]) != slot.numbers[n]:
                    raise WrongNotation(
                        f"{feature.name} {number!r} needs another {slot.choice} than a feature before it"
                    )
        return values

    def format(self, space: Space, architecture: Architecture) -> str:
        """The ten numbers. Raises :class:`WrongNotation` if the space is of another kind."""
        return ",".join(str(feature.of(architecture)) for feature in features(space))


@lru_cache(maxsize=4096)
def _falling(allowed: tuple[int, ...], count: int, total: int) -> tuple[int, ...] | None:
    """The lexicographically smallest sequence of these that never rises and has this sum, if there is one."""
    if count == 0:
        return () if total == 0 else None
    for first in sorted(allowed):
        rest = _falling(tuple(n for n in allowed if n <= first), count - 1, total - first)
        if rest is not None:
            return (first, *rest)
    return None


def _sequence(slots: tuple[Slot, ...], total: float) -> tuple[int, ...] | None:
    """Numbers of the slots with this sum."""
    whole, count = round(total), len(slots)
    if not isclose(total, whole, rel_tol=0, abs_tol=_TOLERANCE):
        return None
    if len({s.choice for s in slots}) < count:  # one choice for all layers, or a constant
        return (whole // count,) * count if whole % count == 0 and whole // count in slots[0].numbers else None
    return _falling(tuple(slots[0].numbers), count, whole)


def _numbers(text: str) -> list[float]:
    parts = [part.strip() for part in text.split(",")]
    pairs = [part.partition("=") for part in parts]
    if not any(equals for _, equals, _ in pairs):
        pairs = [(name, "=", part) for name, part in zip(NAMES, parts, strict=False)]
    found: dict[str, float] = {}
    for name, equals, written in pairs:
        name = name.strip()
        if name not in NAMES or not equals:
            guess = nearest(name, NAMES)
            hint = f"did you mean {guess}?" if guess else f"known: {', '.join(NAMES)}"
            raise WrongNotation(f"unknown feature {shown(name)}; {hint}")
        if name in found:
            raise WrongNotation(f"feature {name} stands twice")
        found[name] = _number(name, written)
    if len(parts) != len(NAMES):
        missing = next((name for name in NAMES if name not in found), None)
        what = "" if missing is None else f"; {missing} is missing"
        raise WrongNotation(f"ten features are needed, got {len(parts)}{what}")
    return [found[name] for name in NAMES]


def _number(name: str, written: str) -> float:
    try:
        number = float(written)
    except ValueError:
        raise WrongNotation(f"{name} must be a number, not {shown(written.strip())}") from None
    if not isfinite(number):
        raise WrongNotation(f"{name} must be finite, not {written.strip()}")
    return number
