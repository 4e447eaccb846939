"""``family: cell``: a stem, a stack of cells and a classifier; cells of one kind share their choices.

A cell is a graph of ``nodes``, each the sum of its incoming edges, and an edge is one of ``operations``
(:mod:`spaces.families.cell_operations`). With ``wiring: dense`` every node reads the cell's input and all nodes before
it; with ``pairs`` it chooses two of the cell's two inputs (the outputs of the two cells before) and of the nodes before
it (DARTS, Liu et al. 2019). ``output`` is the ``last`` node, or all nodes in one (``concat``).

``stack`` lists what follows the stem: ``normal`` and ``reduce`` are searched cells, each kind with choices of its own
(``reduce`` halves the places), ``residual`` is a fixed residual block that halves them, and ``{normal: 5}`` repeats.
``width`` is that of the first, and doubles with each ``reduce`` or ``residual`` after it. Cells of ``concat``, and
those that read another width, start with a ReLU and a 1x1 convolution of each input. The stem, a 3x3 convolution, has
``stem_multiplier`` times ``width`` channels; with 0 there is none. The classifier reads the mean over all places; with
``hidden`` it reads so many features of a linear layer, that of a 2x2 max pool (TangleNAS).

Choices: ``normal.<node>.<from>.operation``, and with pairs ``normal.<node>.inputs`` (like ``0-2``) and
``normal.<node>.<0 or 1>.operation``. NAS-Bench-201 has one more batch norm, before its last ReLU: it is not part.
"""

from __future__ import annotations

from dataclasses import dataclass

from spaces.families.cell_operations import OPERATIONS, Edge, factorized
from spaces.families.cell_wiring import Cell, Form
from spaces.language import Builder, Scope
from spaces.layers import INPUT, Record
from spaces.yaml import Mapping, Node, Scalar, Section, Sequence, describe, shown

KINDS = ("normal", "reduce", "residual")
_MOST_NODES, _WIDEST, _MOST_CELLS = 20, 65_536, 1_000  # far beyond use


@dataclass(frozen=True)
class _Output:
    """What a cell makes: its path, channels (0: the network's own input), and by how much it has halved the places."""

    path: str
    width: int
    halvings: int


def read(model: Section, builder: Builder, classes: int) -> None:
    """Choices and records of the ``model`` section."""
    model.require("operations")
    operations = model.texts("operations", [], among=sorted(OPERATIONS))
    form = Form(
        operations=tuple(operations) or ("skip_connect",),
        nodes=model.integer("nodes", 3, at_least=1, at_most=_MOST_NODES),
        pairs=model.text("wiring", "dense", among=("dense", "pairs")) == "pairs",
        concat=model.text("output", "last", among=("last", "concat")) == "concat",
        mark=model.mark("operations"),
    )
    width = model.integer("width", 16, at_least=2, at_most=_WIDEST)
    stem = width * model.integer("stem_multiplier", 1, at_least=0, at_most=64)
    hidden = model.integer("hidden", None, at_least=1, at_most=_WIDEST)
    network = _Network(builder, form)
    network.classify(network.stacked(_stack(model, builder), stem, width), hidden, classes)


def _stack(model: Section, builder: Builder) -> list[str]:
    """The kinds of all cells; what is wrong becomes a problem at its place."""
    node = model.require("stack")
    items = node.items if isinstance(node, Sequence) else ()
    found = [kind for item in items for kind in _cells(item, builder)]
    if node is not None and (not items or len(found) > _MOST_CELLS):
        said = f"stack must be a list of cells, at least one and at most {_MOST_CELLS}"
        builder.problems.add(node.mark, said, "wrong-type")
        return []
    return found


def _cells(item: Node, builder: Builder) -> list[str]:
    """One entry of the stack: ``normal``, or ``{normal: 5}``."""
    entries = item.entries if isinstance(item, Mapping) else ((item, Scalar(1, "1", item.mark)),)
    found: list[str] = []
    for kind, times in entries:
        if not isinstance(kind, Scalar) or kind.value not in KINDS:
            said = f"unknown cell {describe(kind)}: write normal, reduce or residual, or {{normal: 5}}"
            hint = builder.problems.suggest(kind.text, KINDS, "cells") if isinstance(kind, Scalar) else None
            builder.problems.add(kind.mark, said, "unknown-name", hint)
        elif not isinstance(times, Scalar) or type(times.value) is not int or not 1 <= times.value <= _MOST_CELLS:
            said = f"number of {shown(kind.text)} cells must be from 1 to {_MOST_CELLS}, not {describe(times)}"
            builder.problems.add(times.mark, said, "out-of-range")
        else:
            found += [kind.text] * times.value
    return found


@dataclass(frozen=True)
class _Network:
    builder: Builder
    form: Form

    def stacked(self, stack: list[str], stem: int, width: int) -> _Output:
        """The stem and the cells; too many of them end early, as the builder has noted."""
        last = _Output(INPUT, 0, 0)
        if stem:
            last = _Output(self.edge(Scope().enter("stem"), stem).conv("conv", INPUT, stem, 3), stem, 0)
        before = last
        for position, kind in enumerate(stack):
            if self.builder.full:
                break
            scope = Scope().enter("cells").enter(position, "block")
            if kind != "normal" and position > 0:
                width *= 2
            if kind == "residual":
                before, last = last, self.residual(scope, last, width)
            else:
                before, last = last, self.cell(scope.tied(kind), kind == "reduce", before, last, width)
        return last

    def edge(self, scope: Scope, width: int) -> Edge:
        return Edge(self.builder, scope, INPUT, width)

    def residual(self, scope: Scope, last: _Output, width: int) -> _Output:
        """NAS-Bench-201's reduction: two 3x3 convolutions, and a mean of 2x2 places with a pointwise one beside."""
        edge = self.edge(scope, width)
        inner = edge.conv("conv1", edge.relu("relu1", last.path), width, 3, stride=2)
        inner = edge.conv("conv2", edge.relu("relu2", inner), width, 3)
        pool = edge.add("pool", "avg_pool", (last.path,), kernel=2, stride=2)
        skip = edge.conv("downsample", pool, width, norm=False, bias=False)
        return _Output(edge.add("add", "add", (inner, skip)), width, last.halvings + 1)

    def cell(self, scope: Scope, reduces: bool, before: _Output, last: _Output, width: int) -> _Output:
        """A searched cell; its output is as wide as all nodes that are in it."""
        inputs = [
            self.preprocessed(scope.enter(f"input{i}"), given, last.halvings, width)
            for i, given in enumerate((before, last) if self.form.pairs else (last,))
        ]
        path = Cell(self.builder, self.form, scope, width, reduces).build(inputs)
        return _Output(path, width * (self.form.nodes if self.form.concat else 1), last.halvings + reduces)

    def preprocessed(self, scope: Scope, given: _Output, halvings: int, width: int) -> str:
        """An input in the cell's width, and in the size of the newer one."""
        edge = self.edge(scope, width)
        if given.halvings < halvings:
            return factorized(edge, given.path)
        if given.width == width and not self.form.concat:
            return given.path
        return edge.conv("conv", edge.relu("relu", given.path), width)

    def classify(self, last: _Output, hidden: int | None, classes: int) -> None:
        """What follows the cells. A sum ends in a ReLU here, as the operations start with one."""
        end = last.path
        if not self.form.concat:
            end = self.builder.add(Record("activation", "activation", (end,), activation="relu"))
        if hidden is None:
            end = self.builder.add(Record("pool", "pool", (end,)))
        else:
            pool = self.builder.add(Record("pool", "max_pool", (end,), kernel=2, stride=2, padding=0))
            flat = self.builder.add(Record("flatten", "flatten", (pool,)))
            end = self.linear("hidden", flat, hidden, "relu")
        self.linear("classifier", end, classes, "none")

    def linear(self, name: str, before: str, out: int, activation: str) -> str:
        precision = self.builder.precision(Scope().enter(name))
        return self.builder.add(Record(name, "linear", (before,), out=out, activation=activation, precision=precision))
