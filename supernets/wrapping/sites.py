"""The layers of a trace that have weights: where each gets them from, what norm follows, and who shares them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from spaces.choice import When
from supernets.functions.operations import operation
from supernets.wrapping.atoms import Dim
from supernets.wrapping.errors import wrong
from supernets.wrapping.nodes import Node, Ref, Trace
from supernets.wrapping.walk import Walk, base, too_fine

_WEIGHTED = {"linear": "linear", "conv1d": "conv", "conv2d": "conv", "conv3d": "conv"}
_TIED = "give each a parameter of its own, or leave one of them out of what is wrapped"


@dataclass(frozen=True)
class Weighted:
    """A convolution or linear layer. ``norm`` is the node of a batch norm that nothing but it feeds.

    ``owner`` is the path of the layer, or the name of the parameter, that has its weight; ``again``: it is that layer.
    """

    path: str
    kind: str
    node: Node
    weight: tuple[Dim, ...]
    bias: bool
    norm: str | None = None
    owner: str | None = None
    again: bool = False


class Layers:
    """All of them. Raises :class:`NotWrappable` for weights that are shared in a way that slices cannot follow."""

    def __init__(self, trace: Trace, walk: Walk) -> None:
        self.trace, self.walk = trace, walk
        self.node_of = {n.target: n for n in trace.nodes if n.op == "held"}
        self.readers: dict[str, list[Node]] = {n.name: [] for n in trace.nodes}
        for node in trace.nodes:
            for name in dict.fromkeys(node.refs()):
                self.readers[name].append(node)
        self._taken = {"input", "output", *self.node_of}
        nodes = [n for n in trace.nodes if self._is_weighted(n)]
        self._weights = {n.name for n in nodes}
        self.folded = self._foldable()
        self.weighted: dict[str, Weighted] = {}
        for node in nodes:
            try:
                self.weighted[node.name] = self._layer(node)
            except OverflowError:
                raise too_fine(node) from None
        self.norm_of = {w.norm: name for name, w in self.weighted.items() if w.norm is not None}
        norms = [n for n in trace.nodes if self._is_norm(n) and n.name not in self.norm_of]
        self.norms = {n.name: self._path(n, n.args[1] or n.args[3]) for n in norms}
        self._check_tied()

    def _is_weighted(self, node: Node) -> bool:
        if base(node.op) not in _WEIGHTED or len(node.args) < 2:
            return False
        whole = base(node.op) == "linear" or len(self.walk.steps[node.name].args) == 7
        held = self.walk.is_held(node.args[1]) and (self._bias(node) is None or self.walk.is_held(self._bias(node)))
        return whole and held and not node.options

    def _bias(self, node: Node) -> Any:
        return node.args[2] if len(node.args) > 2 else None

    def _is_norm(self, node: Node) -> bool:
        if base(node.op) != "batch_norm" or node.args[3] is None or node.args[5]:
            return False
        return all(self._alone(ref) for ref in node.args[1:5] if ref is not None)

    def _alone(self, ref: Ref) -> bool:
        """Whether it is a parameter that one node reads."""
        return self.walk.steps[ref.name].node.op == "held" and len(self.readers[ref.name]) == 1

    def _foldable(self) -> set[str]:
        """Nodes between parameters and the layers that have them for weights."""
        found: set[str] = set()
        for node in reversed(self.trace.nodes):
            inner = node.op not in ("held", "input", "output") and self.walk.is_held(Ref(node.name))
            if inner and all(self._as_weight(r, node.name) or r.name in found for r in self.readers[node.name]):
                found.add(node.name)
        return found

    def _as_weight(self, reader: Node, name: str) -> bool:
        return reader.name in self._weights and Ref(name) in reader.args[1:3] and reader.args[0] != Ref(name)

    def _layer(self, node: Node) -> Weighted:
        kind, bias = _WEIGHTED[base(node.op)], self._bias(node)
        weight = self.walk.dims(node.args[1])
        made = Weighted(self._path(node, node.args[1]), kind, node, weight, bias is not None)
        if node.args[1].name in self.folded:
            return replace(made, norm=self._norm(node))
        others = self.readers[node.args[1].name]
        if any(not self._as_weight(r, node.args[1].name) for r in others):
            if kind != "linear":
                raise self._tied(node, others)
            return replace(made, owner=self.walk.steps[node.args[1].name].node.target)
        first = next((w for w in self.weighted.values() if w.node.args[1] == node.args[1]), None)
        if first is None:
            return replace(made, norm=self._norm(node) if len(others) == 1 else None)
        if self._bias(first.node) != bias or first.kind != kind:
            raise self._tied(node, others)
        return replace(made, owner=first.path, again=True)

    def _tied(self, node: Node, others: Sequence[Node]) -> Exception:
        places = sorted({r.module or "the top" for r in others if r.name != node.name})
        what = f"its parameters are tied to those at {', '.join(places)}, and used otherwise there"
        return wrong(node.module, what, "tied", _TIED)

    def _norm(self, node: Node) -> str | None:
        after = self.readers[node.name]
        fits = len(after) == 1 and self._is_norm(after[0]) and after[0].args[0] == Ref(node.name)
        return after[0].name if fits and _WEIGHTED[base(node.op)] == "conv" else None

    def _path(self, node: Node, weight: Any) -> str:
        held = None if weight is None else self.walk.steps[weight.name].node
        if held is None or held.op != "held" or "." not in held.target:
            return self.unique(".".join(part for part in (node.module, base(node.op)) if part))
        name, _, last = held.target.rpartition(".")
        if last not in ("weight", "running_mean"):
            name = f"{name}.{last.removesuffix('_weight') if last.endswith('_weight') else base(node.op)}"
        return self.unique(name)

    def unique(self, path: str) -> str:
        """The path, with a number where it is taken."""
        found, number = path, 1
        while found in self._taken:
            number += 1
            found = f"{path}_{number}"
        self._taken.add(found)
        return found

    def common(self, name: str, when: Mapping[str, When]) -> When:
        """Conditions under which any reader of a parameter is there."""
        each = [when.get(r.name, ()) for r in self._final(name)]
        return tuple(c for c in each[0] if all(c in other for other in each)) if each else ()

    def _final(self, name: str) -> list[Node]:
        return [end for r in self.readers[name] for end in (self._final(r.name) if r.name in self.folded else [r])]

    # -- what is held

    def value(self, ref: Ref) -> Tensor:
        """The value of parameters, or of what is made of them alone."""
        value: Tensor = self._run(ref, self.trace.held)
        return value

    def _run(self, value: Any, held: Mapping[str, Tensor]) -> Any:
        if isinstance(value, tuple):
            return tuple(self._run(item, held) for item in value)
        if not isinstance(value, Ref):
            return value
        node = self.walk.steps[value.name].node
        if node.op == "held":
            return held[node.target]
        args = self._run(node.args, held)
        return operation(node.op)(*args, **{k: self._run(v, held) for k, v in node.options.items()})

    def _check_tied(self) -> None:
        """Parameters of which several layers have parts, parts that must not overlap."""
        parts: dict[str, list[tuple[Node, Ref]]] = {}
        for w in self.weighted.values():
            for ref in (w.node.args[1], self._bias(w.node)):
                if ref is not None and ref.name in self.folded:
                    for source in sorted(self.walk.steps[ref.name].held):
                        parts.setdefault(source, []).append((w.node, ref))
        for source, uses in parts.items():
            readers = [r for r in self.readers[source] if r.name not in self.folded]
            if readers or (len(uses) > 1 and self._overlap(source, [ref for _, ref in uses])):
                raise self._tied(uses[0][0], [*readers, *(node for node, _ in uses[1:])])

    def _overlap(self, source: str, refs: Sequence[Ref]) -> bool:
        """Whether two expressions read the same place of a parameter; what computes with values reads all."""
        target = self.walk.steps[source].node.target
        value = self.trace.held[target]
        places = torch.arange(1, value.numel() + 1, dtype=torch.float64).reshape(value.shape)
        held = {name: places if name == target else t.double() for name, t in self.trace.held.items()}
        found = torch.cat([self._run(ref, held).flatten() for ref in refs])
        return len(torch.unique(found)) != len(found) or bool((found != found.round()).any())
