"""From what ``torch.export`` gives to nodes, without operations in place."""

from __future__ import annotations

import operator
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, fx, nn

from supernets.wrapping.errors import NotWrappable, wrong
from supernets.wrapping.nodes import BATCH, Node, Ref, Trace

_SAME = frozenset({"aten.dropout.default", "aten.feature_dropout.default", "aten.alpha_dropout.default",
                   "aten.lift_fresh_copy.default", "aten.detach.default", "aten.alias.default"})  # fmt: skip
_VIEWS = frozenset(
    {"view", "reshape", "flatten", "unflatten", "permute", "transpose", "t", "numpy_T", "unsqueeze", "squeeze",
     "expand", "expand_as", "view_as", "slice", "select", "unbind", "split", "split_with_sizes", "chunk", "narrow",
     "contiguous", "getitem", "diagonal", "unfold", "movedim", "swapaxes", "to", "reshape_as"}
)  # fmt: skip
_OPERATORS = {operator.getitem: "getitem", operator.mul: "number_mul", operator.add: "number_add",
              operator.sub: "number_sub", operator.floordiv: "number_floordiv"}  # fmt: skip


class Reader:
    """Reads one exported program of ``module``."""

    def __init__(self, program: torch.export.ExportedProgram, module: nn.Module) -> None:
        self._program = program
        self._signature = program.graph_signature
        self._first = {id(t): name for name, t in reversed([*module.named_buffers(), *module.named_parameters()])}
        self._module = module
        self._now: dict[str, Any] = {}  # name in torch's graph -> what it is now
        self._base: dict[str, str] = {}  # a view -> what it is a view of
        self._nodes: list[Node] = []

    def read(self, batch_dim: int) -> Trace:
        """Its nodes, in order."""
        graph = self._program.graph
        self._last = {
            n.name: max((order[u] for u in n.users), default=-1) for order in [_order(graph)] for n in graph.nodes
        }
        for place, node in enumerate(graph.nodes):
            if node.op == "placeholder":
                self._placeholder(node, batch_dim)
            elif node.op == "output":
                self._output(node)
            elif node.op == "call_function":
                self._call(node, place)
            elif node.op != "get_attr":
                raise self._unknown(node, node.op)
            elif node.users:
                raise self._unknown(node, "a graph inside of the graph")
        trained = frozenset(dict(self._module.named_parameters()))
        modules = {path: f"{type(m).__module__}.{type(m).__qualname__}" for path, m in self._module.named_modules()}
        return Trace(tuple(_needed(self._nodes)), self._held(), trained, modules)

    def _held(self) -> dict[str, Tensor]:
        return {n.target: self._value(n.target).detach() for n in self._nodes if n.op == "held"}

    def _value(self, name: str) -> Tensor:
        if name in self._program.constants:
            value = self._program.constants[name]
            assert isinstance(value, Tensor)
            return value
        found: Tensor = operator.attrgetter(name)(self._module)
        return found

    def _placeholder(self, node: fx.Node, batch_dim: int) -> None:
        s, value = self._signature, node.meta.get("val")
        names = {**s.inputs_to_parameters, **s.inputs_to_buffers, **s.inputs_to_lifted_tensor_constants}
        if node.name not in names:
            if not isinstance(value, Tensor):
                raise wrong("", f"its input {node.name} is no tensor", "untraceable", "give tensors only")
            if _sizes(value)[batch_dim] != BATCH:
                what = f"it works for a batch of {int(value.shape[batch_dim])} only"
                raise wrong("", what, "fixed-batch", "use x.shape[0] or -1 for the batch size: len(x) and int() fix it")
        op = "held" if node.name in names else "input"
        target = names.get(node.name, node.name)
        if op == "held":
            target = self._first.get(id(self._value(target)), target)
            known = next((n for n in self._nodes if n.op == "held" and n.target == target), None)
            if known is not None:
                self._now[node.name] = Ref(known.name)
                return
        assert isinstance(value, Tensor)
        self._add(Node(node.name, op, sizes=_sizes(value), target=target, dtype=value.dtype))

    def _add(self, node: Node) -> None:
        self._nodes.append(node)
        self._now[node.name] = Ref(node.name)

    def _output(self, node: fx.Node) -> None:
        spec = self._program.call_spec.out_spec
        kept = [a for a, out in zip(node.args[0], self._signature.output_specs, strict=True) if _given_out(out)]  # type: ignore[arg-type]
        tree = torch.utils._pytree.tree_unflatten([self._seen(a) for a in kept], spec)
        self._nodes.append(Node("output", "output", (tree,)))

    def _seen(self, value: Any) -> Any:
        """An argument as it is now; constants as they are."""
        if isinstance(value, fx.Node):
            return self._now[value.name]
        if isinstance(value, list | tuple):
            return tuple(self._seen(item) for item in value)
        return value

    def _call(self, node: fx.Node, place: int) -> None:
        op = _OPERATORS.get(node.target) or str(node.target)  # type: ignore[arg-type]
        args = self._seen(node.args)
        if op in _SAME:
            self._now[node.name] = args[0]
            return
        if op.startswith("aten._assert") or (not node.users and not _in_place(op)):
            return
        value = node.meta.get("val")
        made = Node(
            node.name, op, args, {k: self._seen(v) for k, v in node.kwargs.items()},
            _sizes(value) if isinstance(value, Tensor) else None, _module_of(node),
            dtype=value.dtype if isinstance(value, Tensor) else torch.float32,
        )  # fmt: skip
        if _in_place(op):
            self._replace(made, node, place)
            return
        self._add(made)
        if op.split(".")[1 if "." in op else 0] in _VIEWS and isinstance(args[0], Ref):
            self._base[node.name] = args[0].name

    def _replace(self, made: Node, node: fx.Node, place: int) -> None:
        """What works in place makes a new tensor, which later readers of the old one read."""
        written = node.args[0]
        assert isinstance(written, fx.Node)
        now = self._now[written.name].name
        if any(self._last.get(name, -1) > place and self._overlap(name, now) for name in self._now):
            what = f"{made.op} writes into a part of a tensor, or into one that is also read under another shape"
            raise wrong(
                made.module, what, "in-place", "make a new tensor: torch.cat, torch.where, or the operation without _"
            )
        space, name, overload = made.op.split(".")
        made.op = f"{space}.{name.removesuffix('_')}.{overload}"
        self._add(made)
        for old, ref in list(self._now.items()):
            if ref == Ref(now):
                self._now[old] = Ref(made.name)

    def _overlap(self, first: str, second: str) -> bool:
        """Whether two tensors share memory: parts of one split do not."""
        a, b = self._bases(first), self._bases(second)
        if first == second or a[-1] != b[-1]:
            return False
        while a and b and a[-1] == b[-1]:
            a.pop()
            b.pop()
        ops = {n.name: n.op for n in self._nodes}
        return not (a and b and ops[a[-1]] == ops[b[-1]] == "getitem")

    def _bases(self, name: str) -> list[str]:
        chain = [name]
        while chain[-1] in self._base:
            chain.append(self._base[chain[-1]])
        return chain

    def _unknown(self, node: fx.Node, what: str) -> NotWrappable:
        hint = "make torch.export.export(module, example_input) give plain operations"
        return wrong(_module_of(node), f"its trace has {what}", "untraceable", hint)


def _order(graph: fx.Graph) -> dict[fx.Node, int]:
    return {node: i for i, node in enumerate(graph.nodes)}


def _given_out(spec: Any) -> bool:
    return bool(spec.kind.name == "USER_OUTPUT")


def _in_place(op: str) -> bool:
    parts = op.split(".")
    return len(parts) == 3 and parts[1].endswith("_") and not parts[1].startswith("_")


def _sizes(value: Tensor) -> tuple[int, ...]:
    return tuple(
        n if isinstance(n, int) else int(n.node.expr.subs(dict.fromkeys(n.node.expr.free_symbols, BATCH)))
        for n in value.shape
    )


def _module_of(node: fx.Node) -> str:
    stack = list((node.meta.get("nn_module_stack") or {}).values())
    path = str(stack[-1][0]).split("@")[0] if stack else ""
    return "" if path.startswith("_") else path


def _needed(nodes: Sequence[Node]) -> list[Node]:
    """Those that the output depends on, and the inputs."""
    wanted: set[str] = {"output"}
    kept: list[Node] = []
    for node in reversed(nodes):
        if node.name in wanted or node.op == "input":
            kept.append(node)
            wanted.update(node.refs())
    return kept[::-1]
