"""``family: cell``: a stem, a stack of cells, a pool and a classifier; cells of one kind share their choices.

A cell is a graph of ``nodes``, each the sum of its incoming edges, and an edge is one of ``operations``. With ``wiring:
dense`` every node reads the cell's input and all nodes before it; with ``pairs`` it chooses two of the cell's two
inputs (the outputs of the two cells before) and of the nodes before it (DARTS). ``output`` is the ``last`` node, or all
nodes concatenated.

``stack`` lists what follows the stem: ``normal`` and ``reduce`` are searched cells, each kind with choices of its own
(``reduce`` halves the places and doubles the width), ``residual`` is a fixed residual block that does so, and
``{normal: 5}`` repeats. Choices: ``normal.<node>.<from>.operation``, and with pairs ``normal.<node>.inputs`` (like
``0-2``) and ``normal.<node>.<0 or 1>.operation``.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations

from spaces.choice import Condition, When
from spaces.families.cell_operations import OPERATIONS, Edge, factorized
from spaces.language import Builder, Scope
from spaces.layers import INPUT, Chosen, Field, Lookup, Position, Record
from spaces.yaml import Mapping, Section, Sequence, describe, plain

KINDS = ("normal", "reduce", "residual")
_MOST_NODES, _WIDEST, _MOST_CELLS = 50, 65_536, 1_000  # far beyond use


@dataclass(frozen=True)
class _Form:
    operations: tuple[str, ...]
    nodes: int
    pairs: bool
    concat: bool


@dataclass(frozen=True)
class _Output:
    """What a cell makes: its path, channels, and by how much it has halved the stem's places."""

    path: str
    width: int
    halvings: int


def read(model: Section, builder: Builder, classes: int) -> None:
    """Choices and records of the ``model`` section."""
    known = sorted(OPERATIONS)
    operations = model.texts("operations", [], among=known)
    model.require("operations")
    form = _Form(
        operations=tuple(dict.fromkeys(operations)) or ("skip_connect",),
        nodes=model.integer("nodes", 3, at_least=1, at_most=_MOST_NODES),
        pairs=model.text("wiring", "dense", among=("dense", "pairs")) == "pairs",
        concat=model.text("output", "last", among=("last", "concat")) == "concat",
    )
    width = model.integer("width", 16, at_least=2, at_most=_WIDEST)
    multiplier = model.integer("stem_multiplier", 1, at_least=1, at_most=64)
    if len(set(operations)) != len(operations):
        builder.problems.add(model.mark("operations"), "an operation stands twice", "duplicate-value")
    _Network(builder, form).build(_stack(model, builder), width, multiplier, classes)


def _stack(model: Section, builder: Builder) -> list[str]:
    node = model.require("stack")
    found: list[str] = []
    for item in node.items if isinstance(node, Sequence) else ():
        entries = plain(item) if isinstance(item, Mapping) else {plain(item): 1}
        for kind, times in entries.items() if isinstance(entries, dict) else ():
            if kind not in KINDS or not isinstance(times, int) or isinstance(times, bool) or times < 1:
                said = f"unknown cell {describe(item)}: write normal, reduce or residual, or {{normal: 5}}"
                builder.problems.add(item.mark, said, "unknown-name")
            else:
                found += [str(kind)] * min(times, _MOST_CELLS)
    if node is not None and (not isinstance(node, Sequence) or not node.items or len(found) > _MOST_CELLS):
        said = f"stack must be a list of cells, at least one and at most {_MOST_CELLS}"
        builder.problems.add(node.mark, said, "wrong-type")
        return []
    return found


class _Network:
    def __init__(self, builder: Builder, form: _Form) -> None:
        self.builder = builder
        self.form = form

    def build(self, stack: list[str], width: int, multiplier: int, classes: int) -> None:
        stem = self.edge(Scope().enter("stem"), INPUT, width * multiplier).conv("conv", INPUT, width * multiplier, 3)
        last = _Output(stem, width * multiplier, 0)
        before = last
        for position, kind in enumerate(stack):
            scope = Scope().enter("cells").enter(position, "block")
            if kind != "normal":
                width *= 2
            if kind == "residual":
                before, last = last, self.residual(scope, last, width)
            else:
                before, last = last, self.cell(scope.tied(kind), kind == "reduce", before, last, width)
        relu = self.builder.add(Record("activation", "activation", (last.path,), activation="relu"))
        pool = self.builder.add(Record("pool", "pool", (relu,)))
        precision = self.builder.precision(Scope().enter("classifier"))
        self.builder.add(Record("classifier", "linear", (pool,), out=classes, precision=precision))

    def edge(self, scope: Scope, before: str, width: int, stride: Field = 1) -> Edge:
        return Edge(self.builder, scope, before, width, stride)

    def residual(self, scope: Scope, before: _Output, width: int) -> _Output:
        """NAS-Bench-201's reduction: two 3x3 convolutions, and a mean of 2x2 places with a pointwise one beside."""
        edge = self.edge(scope, before.path, width)
        inner = edge.conv("conv1", edge.relu("relu1", before.path), width, 3, stride=2)
        inner = edge.conv("conv2", edge.relu("relu2", inner), width, 3)
        pool = edge.add("pool", "avg_pool", (before.path,), kernel=2, stride=2)
        skip = edge.conv("downsample", pool, width, norm=False, bias=False)
        return _Output(edge.add("add", "add", (inner, skip)), width, before.halvings + 1)

    def cell(self, scope: Scope, reduces: bool, before: _Output, last: _Output, width: int) -> _Output:
        starts = [last.path]
        if self.form.pairs:
            starts = [
                self.preprocessed(scope.enter(f"input{i}"), given, last.halvings, width)
                for i, given in enumerate((before, last))
            ]
        elif last.width != width:  # a searched reduction of one input
            starts = [self.preprocessed(scope.enter("input0"), last, last.halvings, width)]
        nodes = list(starts)
        for node in range(len(starts), len(starts) + self.form.nodes):
            place = scope.enter(node)
            ends = (self.chosen if self.form.pairs else self.all_of)(place, nodes, len(starts), reduces, width)
            nodes.append(self.builder.add(Record(place.named("sum"), "add", tuple(ends))))
        made = nodes[len(starts) :]
        if self.form.concat:
            path = self.builder.add(Record(scope.named("concat"), "concat", tuple(made)))
            return _Output(path, width * len(made), last.halvings + reduces)
        return _Output(made[-1], width, last.halvings + reduces)

    def preprocessed(self, scope: Scope, given: _Output, halvings: int, width: int) -> str:
        """An input in the cell's width, and in the size of the newer one."""
        edge = self.edge(scope, given.path, width)
        if given.halvings < halvings:
            return factorized(edge)
        return edge.conv("conv", edge.relu("relu", given.path), width)

    def all_of(self, scope: Scope, nodes: list[str], inputs: int, reduces: bool, width: int) -> list[str]:
        """Dense wiring: an edge from each node before."""
        return [
            self.operation(scope.enter(i), node, width, *((2, ()) if reduces and i < inputs else (1, None)))
            for i, node in enumerate(nodes)
        ]

    def chosen(self, scope: Scope, nodes: list[str], inputs: int, reduces: bool, width: int) -> list[str]:
        """Pairs: edges from two chosen ones of the nodes before; the stride is that of the one chosen."""
        pairs = {f"{a}-{b}": (a, b) for a, b in combinations(range(len(nodes)), 2)}
        place = scope.enter("inputs")
        switch = self.builder.switch(place, list(pairs), Section(None, "", self.builder.problems).mapping_mark)
        ends = []
        for slot in (0, 1):
            inner = scope.enter(slot)
            stride: Field = 2 if reduces else 1
            halves: When | None = () if reduces else None
            start = nodes[slot]
            if isinstance(switch, Chosen):
                start = self.builder.add(
                    Record(
                        inner.named("from"), "select", tuple(nodes[pair[slot]] for pair in pairs.values()),
                        rows=Position(switch.name, tuple(pairs)),
                    )
                )  # fmt: skip
                if reduces:
                    far = tuple(name for name, pair in pairs.items() if pair[slot] < inputs)
                    stride = Lookup(switch.name, tuple((name, 2 if name in far else 1) for name in pairs))
                    halves = (Condition(switch.name, far),) if far else None
            ends.append(self.operation(inner, start, width, stride, halves))
        return ends

    def operation(self, scope: Scope, before: str, width: int, stride: Field, halves: When | None) -> str:
        """The alternatives of one edge, side by side, and what stands for the one chosen."""
        names = self.form.operations
        place = scope.enter("operation")
        switch = self.builder.switch(place, names, Section(None, "", self.builder.problems).mapping_mark)
        ends = []
        for name in names:
            inner = scope.enter(name, when=self.builder.under(scope, switch, [name]))
            ends.append(OPERATIONS[name](Edge(self.builder, inner, before, width, stride, halves)))
        if not isinstance(switch, Chosen):
            return ends[0]
        return self.builder.add(
            Record(scope.named("select"), "select", tuple(ends), rows=Position(switch.name, tuple(names)))
        )
