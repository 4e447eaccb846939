"""Notations that write one digit per position: NAS-Bench-Macro, FBNet as HELP's tables number it, and OFA's columns."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from spaces.architecture import Architecture
from spaces.choice import Value
from spaces.notations.base import WrongNotation
from spaces.yaml import shown

if TYPE_CHECKING:
    from spaces.space import Space

STAGES, BLOCKS = 5, 4  # of OFA; stage 0 of the outline is MobileNet's fixed first block, which its columns leave out


class Digits:
    """A digit per choice, in the order of the space: its position among the values."""

    def parse(self, space: Space, text: str) -> Mapping[str, Value]:
        """Values of ``01221100``. Raises :class:`WrongNotation`, also for a space that digits cannot write."""
        _needs_digits(space)
        if len(text) != len(space.choices):
            raise WrongNotation(f"{shown(text)}: expected {len(space.choices)} digits, got {len(text)} [syntax]")
        for position, (choice, digit) in enumerate(zip(space.choices, text, strict=True)):
            if digit not in "0123456789"[: len(choice.values)]:
                wanted = f"expected 0 to {len(choice.values) - 1}"
                raise WrongNotation(f"{shown(text)}: {digit!r} at position {position}: {wanted} [out-of-range]")
        return {choice.name: choice.values[int(digit)] for choice, digit in zip(space.choices, text, strict=True)}

    def format(self, space: Space, architecture: Architecture) -> str:
        """Like ``01221100``. Raises :class:`WrongNotation` for a space that digits cannot write."""
        _needs_digits(space)
        return "".join(str(choice.code(architecture[choice.name])) for choice in space.choices)


class Ofa:
    """``ks=…,expand=…,depth=…,resolution=…``: a digit per block (kernel, ratio) and per stage (depth).

    Blocks beyond a stage's depth are written 0; other digits there are read over, as published tables fill them.
    """

    def parse(self, space: Space, text: str) -> Mapping[str, Value]:
        """Values of the four columns, in any order. Raises :class:`WrongNotation`, also for a space of another kind."""
        _needs_columns(space)
        columns = _columns(text)

        def read(name: str, place: str, written: str) -> int:
            values = space.choices[space.column[name]].values
            if int(written) not in values:
                wanted = ", ".join(map(str, values))
                raise WrongNotation(f"{place} is {written} ({name}): expected one of {wanted} [out-of-range]")
            return int(written)

        values: dict[str, Value] = {"resolution": read("resolution", "resolution", columns["resolution"])}
        for stage, name in enumerate(_depths()):
            values[name] = depth = read(name, f"depth[{stage}]", columns["depth"][stage])
            places = list(_blocks(stage))[:depth]
            for column, key in (("ks", "kernel"), ("expand", "expand")):
                values |= {f"{at}.{key}": read(f"{at}.{key}", f"{column}[{i}]", columns[column][i]) for i, at in places}
        return values

    def format(self, space: Space, architecture: Architecture) -> str:
        """The four columns, 0 for blocks that are not there. Raises :class:`WrongNotation` as :meth:`parse` does."""
        _needs_columns(space)
        blocks = [at for stage in range(STAGES) for _, at in _blocks(stage)]
        ks, expand = ("".join(str(architecture.get(f"{at}.{key}", 0)) for at in blocks) for key in ("kernel", "expand"))
        depth = "".join(str(architecture[name]) for name in _depths())
        return f"ks={ks},expand={expand},depth={depth},resolution={architecture['resolution']}"


def _depths() -> list[str]:
    return [f"stages.{stage + 1}.depth" for stage in range(STAGES)]


def _blocks(stage: int) -> Iterator[tuple[int, str]]:
    """(digit, place in the outline) of the blocks of one of the five stages."""
    return ((stage * BLOCKS + block, f"stages.{stage + 1}.{block}") for block in range(BLOCKS))


def _columns(text: str) -> dict[str, str]:
    parts = [part.partition("=")[::2] for part in text.split(",")]
    if sorted(name for name, _ in parts) != ["depth", "expand", "ks", "resolution"]:
        raise WrongNotation(f"{shown(text)}: expected ks=…,expand=…,depth=…,resolution=… [syntax]")
    columns = dict(parts)
    for name, length in (("ks", STAGES * BLOCKS), ("expand", STAGES * BLOCKS), ("depth", STAGES)):
        if not re.fullmatch(f"[0-9]{{{length}}}", columns[name]):
            raise WrongNotation(f"{name} {shown(columns[name])}: expected {length} digits [syntax]")
    if not re.fullmatch("[0-9]{1,6}", columns["resolution"]):
        raise WrongNotation(f"resolution {shown(columns['resolution'])}: expected a number of pixels [syntax]")
    return columns


def _needs_digits(space: Space) -> None:
    for choice in space.choices:
        if choice.when or len(choice.values) > 10:
            what = "may be absent" if choice.when else f"has {len(choice.values)} values"
            raise WrongNotation(f"space {space.name}: a digit cannot write {choice.name}, which {what} [no-notation]")


def _needs_columns(space: Space) -> None:
    blocks = [f"{at}.{key}" for stage in range(STAGES) for _, at in _blocks(stage) for key in ("kernel", "expand")]
    for name in ("resolution", *_depths(), *blocks):
        if name not in space.column:
            raise WrongNotation(f"space {space.name} has no choice {name}: it is none of Once-for-all's [no-notation]")
