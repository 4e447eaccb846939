"""SpaceEvo's names of spaces: per stage a digit for its kind of block, and one for its window: ``122222-155400``."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING

from spaces.architecture import Architecture
from spaces.choice import Value
from spaces.notations.base import WrongNotation

if TYPE_CHECKING:
    from spaces.space import Space

STAGES = range(1, 7)


class SpaceEvo:
    """Digits are positions among the values of ``stages.<n>.block`` and ``stages.<n>.window``."""

    def parse(self, space: Space, text: str) -> Mapping[str, Value]:
        """Values of ``122222-155400``, with or without a name before (``mobilew-122222-155400``)."""
        match = re.fullmatch(r"(?:[a-z]+-)?([0-9]{6})-([0-9]{6})", text)
        if match is None:
            raise WrongNotation(f"{text!r}: expected six digits, '-' and six digits, like 122222-155400 [syntax]")
        values: dict[str, Value] = {}
        for kind, digits in zip(("block", "window"), match.groups(), strict=True):
            for stage, digit in zip(STAGES, digits, strict=True):
                choice = space.choices[space.column[f"stages.{stage}.{kind}"]]
                if int(digit) >= len(choice.values):
                    last = len(choice.values) - 1
                    raise WrongNotation(f"{text!r}: {kind} {digit} of stage {stage}: it has 0 to {last} [out-of-range]")
                values[choice.name] = choice.values[int(digit)]
        return values

    def format(self, space: Space, architecture: Architecture) -> str:
        """Like ``122222-155400``."""

        def digits(kind: str) -> str:
            choices = [space.choices[space.column[f"stages.{stage}.{kind}"]] for stage in STAGES]
            return "".join(str(c.code(architecture[c.name])) for c in choices)

        return f"{digits('block')}-{digits('window')}"
