"""The nodes of a trace in order: what each does to the axes of its inputs."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import prod
from typing import Any

from supernets.functions.operations import OPAQUE
from supernets.wrapping.atoms import ONE, Atoms, Dim, Dims
from supernets.wrapping.errors import NotWrappable, wrong
from supernets.wrapping.nodes import BATCH, Node, Ref, Trace

Result = Dims | list[Dims] | None
"""Axes of a tensor, of several, or none: a number."""


@dataclass(frozen=True)
class Size:
    """As an argument: the places of a dimension, whatever becomes of it."""

    dim: Dim


@dataclass
class Step:
    """A node and its axes. ``op`` and ``args`` may be others than the node's; ``macs`` is a product of dimensions.

    ``held``: the parameters that it is made of, none if it is made of anything else.
    """

    node: Node
    dims: Result
    op: str
    args: tuple[Any, ...]
    macs: tuple[Dim, ...] = ()
    held: frozenset[str] = frozenset()


@dataclass
class Made:
    """What a rule says: the axes of the result; other operation and arguments; dimensions whose product counts MACs."""

    dims: Result
    args: tuple[Any, ...] | None = None
    op: str | None = None
    macs: tuple[Dim, ...] = ()


Rule = Callable[["Walk", Node], Made | Dims]


class Walk:
    """Axes of every node. Raises :class:`NotWrappable` for an operation that is not known."""

    def __init__(self, trace: Trace, rules: Mapping[str, Rule]) -> None:
        self.atoms = Atoms()
        self.batch = self.atoms.new(BATCH, "the batch")
        self.steps: dict[str, Step] = {}
        self.later: list[Callable[[], None]] = []  # what rules decide once all axes are known
        for node in trace.nodes:
            step = self.steps[node.name] = self._step(node, rules)
            of = [self.steps[name].held for name in node.refs()]
            step.held = (
                frozenset({node.name}) if node.op == "held" else frozenset().union(*of) if all(of) else step.held
            )

        for decide in self.later:
            decide()

    def _step(self, node: Node, rules: Mapping[str, Rule]) -> Step:
        if node.op == "input":
            return Step(node, self.fresh(node.sizes or (), "an input of the network"), node.op, ())
        if node.op == "held":
            return Step(node, self.fresh(node.sizes or ()), node.op, ())
        if node.op == "output":
            for name in node.refs():
                for dim in self._all(self.steps[name].dims):
                    self.atoms.pin(dim, "an output of the network")
            return Step(node, None, node.op, node.args)
        name = base(node.op)
        if name not in rules and name not in OPAQUE:
            hint = "write it with other operations of torch, or wrap the part without it"
            raise wrong(node.module, f"operation {node.op} is not known", "unknown-operation", hint)
        try:
            made = rules[name](self, node) if name in rules else Made(None)
        except OverflowError:
            raise too_fine(node) from None
        if isinstance(made, tuple):
            made = Made(made)
        if name not in rules or not self._fits(node, made.dims):
            made = self.opaque(node)
        return Step(node, made.dims, made.op or node.op, node.args if made.args is None else made.args, made.macs)

    def _fits(self, node: Node, dims: Result) -> bool:
        if node.sizes is None or not isinstance(dims, tuple):
            return node.sizes is None
        return tuple(map(self.atoms.size, dims)) == node.sizes

    def _all(self, dims: Result) -> list[Dim]:
        if dims is None:
            return []
        return list(dims) if isinstance(dims, tuple) else [dim for each in dims for dim in each]

    def opaque(self, node: Node) -> Made:
        """An operation that mixes all that it reads."""
        why = f"{base(node.op)} at {node.module or 'the top'} needs all of it"
        for name in node.refs():
            for dim in self._all(self.steps[name].dims):
                self.atoms.pin(dim, why)
        if node.sizes is None:
            raise wrong(node.module, f"operation {node.op} gives no tensor", "unknown-operation", "write it otherwise")
        return Made(self.fresh(node.sizes, why))

    # -- what rules ask for

    def dims(self, value: Any) -> Dims:
        """Axes of an argument that is a tensor, as they are now."""
        found = self.steps[value.name].dims
        assert isinstance(found, tuple)
        return tuple(map(self.atoms.seen, found))

    def tensors(self, node: Node) -> list[Dims]:
        """Axes of all arguments that are tensors."""
        return [self.dims(Ref(name)) for name in node.refs() if isinstance(self.steps[name].dims, tuple)]

    def is_held(self, value: Any) -> bool:
        """Whether an argument is made of parameters alone."""
        return isinstance(value, Ref) and bool(self.steps[value.name].held)

    def fresh(self, sizes: Sequence[int], pin: str | None = None) -> Dims:
        """Dimensions of their own; the batch is the batch."""
        return tuple(self._fresh(n, pin) for n in sizes)

    def _fresh(self, n: int, pin: str | None) -> Dim:
        if n % BATCH or n == 0:
            return self.atoms.new(n, pin)
        rest = self.atoms.new(n // BATCH, pin)
        return (self.batch[0] + rest[0],)

    def has_batch(self, dim: Dim) -> bool:
        """Whether the batch is a part of it."""
        batch = self.atoms.root(self.batch[0][0])
        return any(a == batch for segment in self.atoms.seen(dim) for a in segment)

    def same(self, dims: Sequence[Dim], where: str) -> Dim:
        """Several dimensions as one, those of one place left out (broadcasting)."""
        wide = [dim for dim in dims if self.atoms.size(dim) != 1]
        for other in wide[1:]:
            self.atoms.one(wide[0], other, where)
        return wide[0] if wide else ONE

    def broadcast(self, tensors: Sequence[Dims], where: str) -> Dims:
        """Axes of what works element by element."""
        rank = max(map(len, tensors), default=0)
        padded = [(ONE,) * (rank - len(t)) + t for t in tensors]
        return tuple(self.same([t[i] for t in padded], where) for i in range(rank))

    def pin(self, dims: Sequence[Dim], why: str) -> None:
        """Nothing of these shrinks."""
        for dim in dims:
            self.atoms.pin(dim, why)


def too_fine(node: Node) -> NotWrappable:
    """The error for axes that are taken apart into more pieces than can be followed."""
    hint = "wrap the parts before and after it by themselves"
    return wrong(node.module, f"{node.op} regroups channels too finely", "too-fine", hint)


def base(op: str) -> str:
    """``add`` of ``aten.add.Tensor``."""
    return op.split(".")[1] if "." in op else op


def at(node: Node, place: int, name: str, otherwise: Any = None) -> Any:
    """An argument by its place or its name."""
    return node.args[place] if len(node.args) > place else node.options.get(name, otherwise)


def where(node: Node) -> str:
    """The module of a node, in words."""
    return node.module or "the top"


def places(sizes: Sequence[int]) -> int:
    """Product of sizes."""
    return prod(sizes)
