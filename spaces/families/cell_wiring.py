"""The inside of a cell: its nodes, the edges between them, and what may be chosen of both."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations

from spaces.choice import Condition, When
from spaces.families.cell_operations import OPERATIONS, Edge
from spaces.language import Builder, Scope
from spaces.layers import Chosen, Field, Lookup, Position, Record
from spaces.yaml import Mark


@dataclass(frozen=True)
class Form:
    """What all cells of a network share; ``mark`` is the place of ``operations`` in the file."""

    operations: tuple[str, ...]
    nodes: int
    pairs: bool
    concat: bool
    mark: Mark


@dataclass(frozen=True)
class Cell:
    """One cell at ``scope``, in ``width`` channels; where it ``reduces``, edges from its inputs halve the places."""

    builder: Builder
    form: Form
    scope: Scope
    width: int
    reduces: bool

    def build(self, inputs: list[str]) -> str:
        """Path of the output, from those of the inputs, which have the cell's width."""
        nodes, first = list(inputs), len(inputs)
        for number in range(first, first + self.form.nodes):
            place = self.scope.enter(number)
            ends = (self._pair if self.form.pairs else self._all)(place, nodes, first)
            nodes.append(self.builder.add(Record(place.named("sum"), "add", tuple(ends))))
        if not self.form.concat:
            return nodes[-1]
        return self.builder.add(Record(self.scope.named("concat"), "concat", tuple(nodes[first:])))

    def _all(self, scope: Scope, nodes: list[str], inputs: int) -> list[str]:
        """An edge from each node before."""
        return [
            self._operation(scope.enter(i), node, *((2, ()) if self.reduces and i < inputs else (1, None)))
            for i, node in enumerate(nodes)
        ]

    def _pair(self, scope: Scope, nodes: list[str], inputs: int) -> list[str]:
        """Edges from two chosen ones of the nodes before; the stride is that of the one chosen."""
        pairs = {f"{a}-{b}": (a, b) for a, b in combinations(range(len(nodes)), 2)}
        switch = self.builder.switch(scope.enter("inputs"), list(pairs), self.form.mark)
        ends = []
        for slot in (0, 1):
            inner = scope.enter(slot)
            stride: Field = 2 if self.reduces else 1
            halves: When | None = () if self.reduces else None
            start = nodes[slot]
            if isinstance(switch, Chosen):
                starts = tuple(nodes[pair[slot]] for pair in pairs.values())
                start = self.builder.add(
                    Record(inner.named("from"), "select", starts, rows=Position(switch.name, tuple(pairs)))
                )
                if self.reduces:
                    far = tuple(name for name, pair in pairs.items() if pair[slot] < inputs)
                    stride = Lookup(switch.name, tuple((name, 2 if name in far else 1) for name in pairs))
                    halves = (Condition(switch.name, far),)
            ends.append(self._operation(inner, start, stride, halves))
        return ends

    def _operation(self, scope: Scope, before: str, stride: Field, halves: When | None) -> str:
        """The alternatives of one edge, side by side, and what stands for the one chosen."""
        names = self.form.operations
        switch = self.builder.switch(scope.enter("operation"), names, self.form.mark)
        ends = []
        for name in names:
            inner = scope.enter(name, when=self.builder.under(scope, switch, [name]))
            ends.append(OPERATIONS[name](Edge(self.builder, inner, before, self.width, stride, halves)))
        if not isinstance(switch, Chosen):
            return ends[0]
        chosen = Record(scope.named("select"), "select", tuple(ends), rows=Position(switch.name, names))
        return self.builder.add(chosen)
