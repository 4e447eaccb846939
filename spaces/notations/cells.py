"""Notations of cells: NAS-Bench-201's string or digits, and genotypes as DARTS writes them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING

from spaces.architecture import Architecture
from spaces.choice import Value
from spaces.notations.base import WrongNotation

if TYPE_CHECKING:
    from spaces.space import Space

EDGES = ((1, 0), (2, 0), (2, 1), (3, 0), (3, 1), (3, 2))  # (to, from), in the order of strings and digits
OPERATIONS = ("none", "skip_connect", "nor_conv_1x1", "nor_conv_3x3", "avg_pool_3x3")  # in the order of digits


class NasBench201:
    """``|op~0|+|op~0|op~1|+|op~0|op~1|op~2|``, or a digit per edge: 0 none, 1 skip_connect, 2 and 3 the convolutions of
    1x1 and 3x3, 4 avg_pool_3x3. Read in either form, written as a string.
    """

    def parse(self, space: Space, text: str) -> Mapping[str, Value]:
        """Operation of each edge. Raises :class:`WrongNotation`, also for a space of another kind."""
        _needs(space, [_name(edge) for edge in EDGES])
        if re.fullmatch("[0-4]{6}", text):
            return {_name(edge): OPERATIONS[int(digit)] for edge, digit in zip(EDGES, text, strict=True)}
        found = re.findall(r"([a-z_0-9]+)~([0-9])", text)
        if len(found) != len(EDGES) or self._text([op for op, _ in found]) != text:
            raise WrongNotation(
                f"{text!r}: expected six digits from 0 to 4, or |op~0|+|op~0|op~1|+|op~0|op~1|op~2| [syntax]"
            )
        for op, source in found:
            if op not in OPERATIONS:
                known_names = ", ".join(OPERATIONS)
                raise WrongNotation(f"{text!r}: unknown operation {op}~{source}; known: {known_names} [unknown-name]")
        return {_name(edge): op for edge, (op, _) in zip(EDGES, found, strict=True)}

    def format(self, space: Space, architecture: Architecture) -> str:
        """The string. Raises :class:`WrongNotation` for a space of another kind."""
        _needs(space, [_name(edge) for edge in EDGES])
        return self._text([str(architecture[_name(edge)]) for edge in EDGES])

    def _text(self, operations: list[str]) -> str:
        edges = [f"{op}~{source}" for op, (_, source) in zip(operations, EDGES, strict=True)]
        return f"|{edges[0]}|+|{'|'.join(edges[1:3])}|+|{'|'.join(edges[3:])}|"


def _name(edge: tuple[int, int]) -> str:
    return f"normal.{edge[0]}.{edge[1]}.operation"


class Darts:
    """``normal=[op~from op~from …] reduce=[…]``: two entries per node, as the genotypes of DARTS list them.

    The two of a node may stand in any order; they are written with the earlier node first.
    """

    nodes = range(2, 6)

    def parse(self, space: Space, text: str) -> Mapping[str, Value]:
        """Inputs and operations of every node. Raises :class:`WrongNotation`, also for a space of another kind."""
        _needs(space, self._names())
        cells = dict(re.findall(r"(normal|reduce)=\[([^\]]*)\]", text))
        values: dict[str, Value] = {}
        for kind in ("normal", "reduce"):
            found = re.findall(r"([a-z_0-9]+)~([0-9])", cells.get(kind, ""))
            if len(found) != 2 * len(self.nodes):
                raise WrongNotation(
                    f"{text!r}: expected {kind}=[op~from …] with {2 * len(self.nodes)} entries [syntax]"
                )
            for node in self.nodes:
                pair = sorted((int(source), op) for op, source in found[2 * (node - 2) : 2 * (node - 2) + 2])
                if node > 2:
                    values[f"{kind}.{node}.inputs"] = f"{pair[0][0]}-{pair[1][0]}"
                elif [source for source, _ in pair] != [0, 1]:
                    raise WrongNotation(f"{text!r}: node 2 of {kind} reads 0 and 1 [out-of-range]")
                values |= {f"{kind}.{node}.{slot}.operation": op for slot, (_, op) in enumerate(pair)}
        try:
            return dict(space.architecture(values))
        except ValueError as error:
            raise WrongNotation(f"{text!r}: {error} [out-of-range]") from None

    def format(self, space: Space, architecture: Architecture) -> str:
        """Both cells. Raises :class:`WrongNotation` for a space of another kind."""
        _needs(space, self._names())
        return " ".join(f"{kind}=[{' '.join(self._entries(kind, architecture))}]" for kind in ("normal", "reduce"))

    def _names(self) -> list[str]:
        places = [f"{kind}.{node}" for kind in ("normal", "reduce") for node in self.nodes]
        inputs = [f"{place}.inputs" for place in places if not place.endswith(".2")]  # node 2 has no choice of them
        return inputs + [f"{place}.{slot}.operation" for place in places for slot in (0, 1)]

    def _entries(self, kind: str, architecture: Architecture) -> list[str]:
        entries = []
        for node in self.nodes:
            sources = str(architecture.get(f"{kind}.{node}.inputs", "0-1")).split("-")
            entries += [f"{architecture[f'{kind}.{node}.{slot}.operation']}~{s}" for slot, s in enumerate(sources)]
        return entries


def _needs(space: Space, names: list[str]) -> None:
    if sorted(names) != sorted(space.column):
        strange = min(set(names) ^ set(space.column))
        has = "has a" if strange in space.column else "has no"
        raise WrongNotation(
            f"space {space.name} {has} choice {strange}: this notation is of another space [no-notation]"
        )
