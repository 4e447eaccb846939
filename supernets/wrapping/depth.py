"""Elastic depth: blocks that can be left out, because what comes out has the channels and places of what went in.

Blocks are modules of one class that stand beside each other, each fed by the one before. A residual sum ties the
channels of its input to those of its output, at every width; so a block whose output's axes are those of the output of
the block before can be left out, and the first blocks of such a run are a network of their own.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from math import ceil

from spaces import Choice, Condition
from spaces.choice import When
from supernets.functions.operations import RESHAPES
from supernets.wrapping.nodes import Ref, Trace
from supernets.wrapping.walk import Walk, base

_MOVES = frozenset((*RESHAPES, "permute", "transpose", "contiguous", "clone", "roll"))


@dataclass(frozen=True)
class Block:
    """A module: nodes inside of it, what of what comes in a sum adds to, and the one node that others read."""

    path: str
    nodes: frozenset[str]
    entries: frozenset[str]
    end: str


@dataclass(frozen=True)
class Run:
    """Blocks of which a prefix is a network: all but the first can be left out."""

    name: str
    blocks: tuple[Block, ...]


def runs(trace: Trace, walk: Walk) -> list[Run]:
    """Outer ones before inner ones."""
    found: list[Run] = []
    for parent in trace.modules:
        children = [p for p in trace.modules if p and p.rpartition(".")[0] == parent]
        here: list[Run] = []
        for _, same in groupby(children, key=lambda path: _form(path, trace)):
            here += _chained([_block(path, trace, walk) for path in same], walk)
        for run in here:
            several = len(here) > 1 or not parent
            found.append(Run(f"{run.name if several else parent}.depth", run.blocks))
    return found


def _form(path: str, trace: Trace) -> object:
    """The class of a module; of a container also what is in it."""
    own = trace.modules[path]
    if ".container." not in own:
        return own
    start = f"{path}."
    return own, tuple((p[len(path) :], kind) for p, kind in trace.modules.items() if p.startswith(start))


def _block(path: str, trace: Trace, walk: Walk) -> Block | None:
    inside = frozenset(n.name for n in trace.nodes if n.module == path or n.module.startswith(f"{path}."))
    entries: set[str] = set()
    ends: set[str] = set()
    for node in trace.nodes:
        for name in node.refs():
            if node.name in inside and name not in inside and _is_computed(walk, name) and name not in entries:
                entries |= {name} if _is_added(name, inside, trace) else set()
            if node.name not in inside and name in inside and walk.steps[name].dims is not None:
                ends.add(name)
    return Block(path, inside, frozenset(entries), ends.pop()) if len(ends) == 1 else None


def _is_added(name: str, inside: frozenset[str], trace: Trace) -> bool:
    """Whether the block adds something to a tensor that comes in, perhaps in another shape."""
    same = {name}
    for node in trace.nodes:
        if node.name in inside and not same.isdisjoint(node.refs()):
            if base(node.op) == "add":
                return True
            if base(node.op) in _MOVES:
                same.add(node.name)
    return False


def _is_computed(walk: Walk, name: str) -> bool:
    """Whether it is a tensor that depends on the input."""
    return walk.steps[name].dims is not None and not walk.is_held(Ref(name))


def _chained(blocks: Sequence[Block | None], walk: Walk) -> list[Run]:
    """Runs of two blocks or more."""
    found: list[list[Block]] = []
    for block in blocks:
        last = found[-1][-1] if found and found[-1] else None
        if block is None:
            found.append([])
        elif last is not None and last.end in block.entries and _shape(walk, last.end) == _shape(walk, block.end):
            found[-1].append(block)
        else:
            found.append([block])
    return [Run(run[0].path, tuple(run)) for run in found if len(run) > 1]


def _shape(walk: Walk, name: str) -> object:
    dims = walk.steps[name].dims
    return tuple(map(walk.atoms.seen, dims)) if isinstance(dims, tuple) else None


@dataclass(frozen=True)
class Depth:
    """The choices of depth, under which conditions each node is there, and what to read where a block is not."""

    choices: tuple[Choice, ...]
    when: dict[str, When]
    before: dict[str, str]  # end of a block that may be left out -> what comes in

    @classmethod
    def of(cls, found: Sequence[Run], shares: Sequence[float]) -> Depth:
        """``shares`` of the blocks of each run, rounded up."""
        choices: list[Choice] = []
        when: dict[str, When] = {}
        before: dict[str, str] = {}
        for run in found:
            total = len(run.blocks)
            values = tuple(sorted({ceil(total * share) for share in shares} | {total}))
            if len(values) == 1:
                continue
            outer = when.get(run.blocks[0].end, ())
            choices.append(Choice(run.name, values, outer))
            for i, block in enumerate(run.blocks[values[0] :], values[0]):
                condition = Condition(run.name, tuple(v for v in values if v > i))
                before[block.end] = run.blocks[i - 1].end
                for name in block.nodes:
                    when[name] = (*when.get(name, ()), condition)
        return cls(tuple(choices), when, before)
