"""The layers that ``family: graph`` knows: one function each, from what is written to records."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass, replace

from spaces.language import Builder, Option, Scope, take, whole
from spaces.language.precisions import read_precision
from spaces.layers import IN, Chosen, Field, LayerPrecision, Record, Scaled
from spaces.yaml import Mapping, Node, Scalar, Section

ACTIVATIONS = ("none", "relu", "relu6", "hard_swish", "swish", "gelu", "sigmoid", "hard_sigmoid", "tanh")
_WIDEST, _LARGEST = 1_000_000, 999  # far beyond use; a slip of the finger must not fill the memory


@dataclass(frozen=True)
class Tensor:
    """What a layer makes: its path, its channels and its stride since the last wrapper, if they are known."""

    path: str
    channels: Field | None
    stride: int | None = 1


class Item:
    """One layer as it is written, at its place in the network. A single value is its parameter ``main``."""

    def __init__(self, kind: str, node: Node, where: str, scope: Scope, before: Tensor, builder: Builder) -> None:
        self.kind, self.where, self.scope, self.before, self.builder = kind, where, scope, before, builder
        main = _MAIN.get(kind, "")
        if main and (isinstance(node, Scalar) or _chosen(node)):
            node = Mapping(((Scalar(main, main, node.mark), node),), node.mark)
        self.section = Section(node, where, builder.problems)

    def number(
        self, key: str, default: int | None, at_least: int = 1, at_most: int = _WIDEST, odd: bool = False
    ) -> Field:
        """A whole number that may be chosen; without a default it must be there."""
        if default is None:
            self.section.require(key)
        read = whole(at_least, at_most, key, odd)
        found = self.builder.field(
            take(self.section, key, read, default or at_least, self.builder.problems), self.scope, key
        )
        return found if isinstance(found, Chosen) else int(found)

    def word(self, key: str, default: str, names: Collection[str]) -> str:
        """One of these names; not a choice: write ``one_of`` around the layer."""
        return self.section.text(key, default, among=names)

    def precision(self) -> LayerPrecision:
        """The layer's precision: its own, or that of the whole file."""
        own: Option | None = None
        if self.section.has("precision"):
            own = take(self.section, "precision", read_precision, "float", self.builder.problems)
        return self.builder.precision(self.scope, own)

    def add(self, kind: str, name: str = "", inputs: tuple[str, ...] = (), **fields: object) -> str:
        """A record of this layer: with a ``name`` if it has several."""
        path = self.scope.named(name) if name else self.scope.path
        record = Record(path, kind, inputs or (self.before.path,), exists_when=self.scope.when)
        return self.builder.add(replace(record, **fields))  # type: ignore[arg-type]

    def made(self, path: str, channels: Field | None, stride: Field | None = 1) -> Tensor:
        """The tensor that the layer makes, ``stride`` ``None`` if unknown; keys nobody asked for are problems now."""
        self.section.finish()
        step = stride if isinstance(stride, int) and not isinstance(stride, bool) else None
        total = None if step is None or self.before.stride is None else self.before.stride * step
        return Tensor(path, channels, total)


def _chosen(node: Node) -> bool:
    return isinstance(node, Mapping) and any(k.text in ("choice", "range", "tie") for k, _ in node.entries)


def _conv(item: Item) -> Tensor:
    depthwise = item.kind == "depthwise"
    out: Field | None = None if depthwise else item.number("out", None)
    kernel, stride = item.number("kernel", 3, at_most=_LARGEST, odd=True), item.number("stride", 1, at_most=_LARGEST)
    path = item.add(
        "conv", out=out, kernel=kernel, stride=stride,
        groups=IN if depthwise else item.number("groups", 1),
        dilation=item.section.integer("dilation", 1, at_least=1, at_most=_LARGEST),
        padding=item.section.integer("padding", None, at_least=0, at_most=_LARGEST),
        norm=item.section.boolean("norm", True),
        bias=item.section.boolean("bias", True),
        activation=item.word("activation", "relu", ACTIVATIONS),
        precision=item.precision(),
    )  # fmt: skip
    return item.made(path, item.before.channels if depthwise else out, stride)


def _linear(item: Item) -> Tensor:
    out = item.number("out", None)
    path = item.add(
        "linear", out=out, bias=item.section.boolean("bias", True),
        activation=item.word("activation", "none", ACTIVATIONS), precision=item.precision(),
    )  # fmt: skip
    return item.made(path, out)


def _activation(item: Item) -> Tensor:
    path = item.add("activation", activation=item.word("function", "relu", ACTIVATIONS))
    return item.made(path, item.before.channels)


def _pool(item: Item) -> Tensor:
    kind = item.word("kind", "global", ("global", "avg", "max"))
    if kind == "global":
        return item.made(item.add("pool"), item.before.channels, None)
    kernel, stride = item.number("kernel", 2, at_most=_LARGEST), item.number("stride", 2, at_most=_LARGEST)
    padding = item.section.integer("padding", None, at_least=0, at_most=_LARGEST)
    return item.made(
        item.add(f"{kind}_pool", kernel=kernel, stride=stride, padding=padding), item.before.channels, stride
    )


def _attention(item: Item) -> Tensor:
    """Queries, keys and values of ``dim`` features in ``heads`` heads, and a linear layer back to the input's.

    With ``kv_heads`` keys and values have so many heads, as wide as the others.
    """
    heads, dim = item.number("heads", 1), item.number("dim", 0, at_least=0)
    shared = item.number("kv_heads", 1) if item.section.has("kv_heads") else None
    width: Field = IN if dim == 0 else dim
    narrow = width if shared is None else Scaled(width, shared, over=heads)
    back: Field = item.before.channels if item.before.channels is not None else IN
    item.section.finish()
    if dim != 0 and item.before.channels is None:
        said = "the input's features depend on choices here: leave dim out"
        item.builder.problems.add(item.section.mark("dim"), said, "wrong-shape")

    def linear(name: str, inputs: tuple[str, ...], out: Field) -> str:
        return item.add("linear", name, inputs, out=out, precision=item.builder.precision(item.scope.enter(name)))

    sizes = (("queries", width), ("keys", narrow), ("values", narrow))
    parts = tuple(linear(name, (item.before.path,), size) for name, size in sizes)
    mixed = item.add("attention", "mix", parts, heads=heads, kv_heads=shared or 0)
    return item.made(linear("output", (mixed,), back), item.before.channels)


def _same(item: Item) -> Tensor:
    return item.made(item.add(item.kind), item.before.channels)


def _reshaped(item: Item) -> Tensor:
    return item.made(item.add(item.kind), None if item.kind == "flatten" else item.before.channels, None)


def _embedding(item: Item) -> Tensor:
    out = item.number("out", None)
    return item.made(item.add("embedding", out=out, rows=item.number("vocabulary", None)), out)


def _larger(item: Item) -> Tensor:
    factor = item.number("by", 2, at_most=_LARGEST)
    path = item.add(item.kind, stride=factor)
    return item.made(path, item.before.channels if item.kind == "upsample" else None, None)


_MAIN = {
    "conv": "out",
    "depthwise": "kernel",
    "linear": "out",
    "activation": "function",
    "pool": "kind",
    "upsample": "by",
    "shuffle": "by",
    "embedding": "out",
    "attention": "heads",
}
LAYERS: dict[str, Callable[[Item], Tensor]] = {
    "conv": _conv,
    "depthwise": _conv,
    "linear": _linear,
    "norm": _same,
    "rms_norm": _same,
    "activation": _activation,
    "pool": _pool,
    "attention": _attention,
    "embedding": _embedding,
    "position": _same,
    "class_token": _same,
    "first": _reshaped,
    "tokens": _reshaped,
    "flatten": _reshaped,
    "upsample": _larger,
    "shuffle": _larger,
}
