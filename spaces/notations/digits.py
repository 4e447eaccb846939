"""Notations that write one digit per position: NAS-Bench-Macro, FBNet as HELP's tables number it, and OFA's columns."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from spaces.architecture import Architecture
from spaces.choice import Value
from spaces.notations.base import WrongNotation

if TYPE_CHECKING:
    from spaces.space import Space


@dataclass(frozen=True)
class Digits:
    """A digit per choice, in the order of the space: its position among the values."""

    def parse(self, space: Space, text: str) -> Mapping[str, Value]:
        """Like ``01221100``."""
        if len(text) != len(space.choices) or not re.fullmatch("[0-9]*", text):
            raise WrongNotation(f"{text!r}: expected {len(space.choices)} digits [syntax]")
        for position, (choice, digit) in enumerate(zip(space.choices, text, strict=True)):
            if int(digit) >= len(choice.values):
                last = len(choice.values) - 1
                raise WrongNotation(
                    f"{text!r}: digit {digit} at position {position}: it has 0 to {last} [out-of-range]"
                )
        return {choice.name: choice.values[int(digit)] for choice, digit in zip(space.choices, text, strict=True)}

    def format(self, space: Space, architecture: Architecture) -> str:
        """Like ``01221100``."""
        return "".join(str(choice.code(architecture[choice.name])) for choice in space.choices)


@dataclass(frozen=True)
class Ofa:
    """``ks=…,expand=…,depth=…,resolution=…``: a digit per block (kernel, ratio) and per stage (depth).

    Blocks beyond a stage's depth are written 0; other digits there are read over, as published tables fill them.
    """

    stages: int = 5
    blocks: int = 4

    def parse(self, space: Space, text: str) -> Mapping[str, Value]:
        """The four columns by name, in any order."""
        columns = dict(part.partition("=")[::2] for part in text.split(","))
        if set(columns) != {"ks", "expand", "depth", "resolution"}:
            raise WrongNotation(f"{text!r}: expected ks=…,expand=…,depth=…,resolution=… [syntax]")
        lengths = {"ks": self.stages * self.blocks, "expand": self.stages * self.blocks, "depth": self.stages}
        for name, length in lengths.items():
            if not re.fullmatch(f"[0-9]{{{length}}}", columns[name]):
                raise WrongNotation(f"{text!r}: {name} must have {length} digits [syntax]")
        if not columns["resolution"].isdecimal():
            raise WrongNotation(f"{text!r}: resolution must be a number of pixels [syntax]")
        values: dict[str, Value] = {"resolution": int(columns["resolution"])}
        for stage in range(self.stages):
            # Stage 0 of the outline is MobileNet's fixed first block.
            values[f"stages.{stage + 1}.depth"] = depth = int(columns["depth"][stage])
            for block in range(min(depth, self.blocks)):
                place = stage * self.blocks + block
                values[f"stages.{stage + 1}.{block}.kernel"] = int(columns["ks"][place])
                values[f"stages.{stage + 1}.{block}.expand"] = int(columns["expand"][place])
        try:
            return dict(space.architecture(values))
        except ValueError as error:
            raise WrongNotation(f"{text!r}: {error} [out-of-range]") from None

    def format(self, space: Space, architecture: Architecture) -> str:
        """The four columns, 0 for blocks that are not there."""

        def row(key: str) -> str:
            names = [f"stages.{s + 1}.{b}.{key}" for s in range(self.stages) for b in range(self.blocks)]
            return "".join(str(architecture.get(name, 0)) for name in names)

        depth = "".join(str(architecture[f"stages.{s + 1}.depth"]) for s in range(self.stages))
        return f"ks={row('kernel')},expand={row('expand')},depth={depth},resolution={architecture['resolution']}"
