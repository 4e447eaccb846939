"""What mobile networks share: inverted residual blocks, stems and heads (Sandler et al. 2018, Howard et al. 2019)."""

from __future__ import annotations

from dataclasses import dataclass

from spaces.choice import Value
from spaces.language import Builder, Scope, take, whole
from spaces.layers import IN, INPUT, Chosen, Field, Record, Scaled
from spaces.yaml import Problems, Section, Sequence

KINDS = ("inverted", "fused", "dense")
ACTIVATIONS = ("relu", "relu6", "hard_swish", "swish")
ROUNDING = 8
WIDEST, LARGEST, STEEPEST = 65_536, 99, 64  # far beyond use; a slip of the finger must not fill the memory


@dataclass(frozen=True)
class Tensor:
    """Where a tensor comes from, and how many channels it has."""

    path: str
    channels: Field


def rounded(base: Field, by: Field) -> Scaled:
    """Channels as MobileNets round them: to multiples of 8, never below 90 % of the product."""
    return Scaled(base, by, ROUNDING, keep=True)


def conv(builder: Builder, scope: Scope, before: Tensor, out: Field, **fields: object) -> Tensor:
    """A convolution with batch norm at ``scope``."""
    values = {"norm": True, "precision": builder.precision(scope), "exists_when": scope.when, **fields}
    record = Record(scope.path, "conv", (before.path,), out=out, **values)  # type: ignore[arg-type]
    return Tensor(builder.add(record), out)


@dataclass(frozen=True)
class Block:
    """An inverted residual block. ``expand`` is the ratio of its hidden channels to its input's.

    Without ``expand``, and where 1 is the chosen one of several, there is no expanding convolution. ``groups`` parts
    the two 1x1 convolutions, as FBNet does (its channel shuffle moves values and costs nothing here). ``squeeze``:
    whether there is a squeeze-and-excite, with a quarter of the hidden channels; it may be chosen.

    ``kind``, which may be chosen: ``inverted``; ``fused``, where one full convolution takes the place of the 1x1 and
    the depthwise one (EfficientNetV2: Tan & Le 2021, section 3.2; without ``expand`` it is the whole block); or
    ``dense``, whose middle convolution is full (the bottleneck of ResNets). Each has weights of its own.
    """

    width: Field
    expand: Value | Chosen | None
    kernel: Field
    stride: int
    activation: str | Chosen
    groups: int = 1
    squeeze: Value | Chosen = False
    kind: Value | Chosen = KINDS[0]

    def add(self, builder: Builder, scope: Scope, before: Tensor, skip: Tensor | None) -> Tensor:
        """Its records: 1x1 up, depthwise, squeeze-and-excite, 1x1 down, and the sum with ``skip`` if there is one."""
        kinds = [str(kind) for kind in builder.values_of(self.kind)]
        after = before
        for kind in kinds:
            # One after the other, each absent where it is not the chosen one: then its first input is read through it.
            place = scope.within(builder.under(scope, self.kind, [kind]))
            place = place if len(kinds) == 1 else place.enter(kind)
            after = self._convolutions(kind, builder, place, Tensor(after.path, before.channels))
        if skip is None:
            return after
        # The skip stands second: an absent add is read through its first input, and so are the absent convs.
        record = Record(scope.named("add"), "add", (after.path, skip.path), exists_when=scope.when)
        return Tensor(builder.add(record), self.width)

    def _convolutions(self, kind: str, builder: Builder, scope: Scope, before: Tensor) -> Tensor:
        spatial = {"kernel": self.kernel, "stride": self.stride, "activation": self.activation}
        hidden = before.channels if self.expand in (None, 1) else rounded(before.channels, self.expand)
        inner = before
        if kind == "fused":
            if self.expand is None:
                after = conv(builder, scope.enter("fused"), before, self.width, **spatial)
                return self._squeezed(builder, scope, after)
            inner = conv(builder, scope.enter("fused"), before, hidden, **spatial)
        elif self.expand is not None:
            needed = [v for v in builder.values_of(self.expand) if v != 1]
            place = scope.within(builder.under(scope, self.expand, needed)).enter("expand")
            inner = conv(builder, place, before, hidden, activation=self.activation, groups=self.groups)
        if kind == "inverted":
            inner = conv(builder, scope.enter("depthwise"), Tensor(inner.path, hidden), IN, groups=IN, **spatial)
        elif kind == "dense":
            inner = conv(builder, scope.enter("spatial"), inner, hidden, **spatial)
        inner = self._squeezed(builder, scope, Tensor(inner.path, hidden))
        return conv(builder, scope.enter("project"), inner, self.width, groups=self.groups)

    def _squeezed(self, builder: Builder, scope: Scope, before: Tensor) -> Tensor:
        if self.squeeze is False:
            return before
        inner = scope.within(builder.under(scope, self.squeeze, [True])).enter("squeeze")
        pool = builder.add(Record(inner.named("pool"), "pool", (before.path,), exists_when=inner.when))
        fewer = rounded(before.channels, 0.25)
        down = conv(builder, inner.enter("reduce"), Tensor(pool, before.channels), fewer, norm=False, activation="relu")
        up = conv(builder, inner.enter("expand"), down, before.channels, norm=False, activation="hard_sigmoid")
        path = inner.named("multiply")
        builder.add(Record(path, "multiply", (before.path, up.path), exists_when=inner.when))
        return Tensor(path, before.channels)


def stem(model: Section, builder: Builder, default_stride: int = 2) -> Tensor:
    """The first convolution: ``stem: {width, kernel, stride, activation}``."""
    section = model.section("stem")
    scope = Scope().enter("stem")
    width = number(builder, section, "width", 16, scope)
    kernel = number(builder, section, "kernel", 3, scope, LARGEST, odd=True)
    stride = section.integer("stride", default_stride, at_least=1, at_most=4)
    activation = section.text("activation", "relu", among=ACTIVATIONS)
    section.finish()
    place = scope.enter("conv")
    given = Tensor(INPUT, IN)
    return conv(builder, place, given, width, kernel=kernel, stride=stride, activation=activation)


def head(model: Section, builder: Builder, before: Tensor, classes: int) -> None:
    """``head``: 1x1 convolutions ``{width | expand, activation, pooled, bias}``, a global pool before the first that is
    ``pooled`` or before the classifier, and the classifier. From the pool on there is no batch norm, but a ``bias``.
    """
    node = model.child("head")
    items = node.items if isinstance(node, Sequence) else ()
    if node is not None and not isinstance(node, Sequence):
        builder.problems.add(node.mark, f"'{model.where}.head' must be a list of layers", "wrong-type")
    pooled = False
    for position, item in enumerate(items):
        section = Section(item, f"{model.where}.head.{position}", builder.problems)
        scope = Scope().enter("head").enter(position)
        if section.has("expand"):
            width: Field = rounded(before.channels, section.number("expand", 1.0, above=0))
        else:
            width = number(builder, section, "width", 1280, scope)
        activation = section.text("activation", "relu", among=ACTIVATIONS)
        bias = section.boolean("bias", True)
        if section.boolean("pooled", False) and not pooled:
            before, pooled = Tensor(builder.add(Record("pool", "pool", (before.path,))), before.channels), True
        section.finish()
        before = conv(builder, scope.enter("conv"), before, width, activation=activation, norm=not pooled, bias=bias)
    if not pooled:
        before = Tensor(builder.add(Record("pool", "pool", (before.path,))), before.channels)
    precision = builder.precision(Scope().enter("classifier"))
    builder.add(Record("classifier", "linear", (before.path,), out=classes, precision=precision))


def number(
    builder: Builder, section: Section, key: str, default: int, scope: Scope, at_most: int = WIDEST, odd: bool = False,
    level: str | None = None,
) -> Field:  # fmt: skip
    """A whole number that may be chosen."""
    read = whole(1, at_most, key, odd)
    found = builder.field(take(section, key, read, default, builder.problems), scope, key, level)
    return found if isinstance(found, Chosen) else int(found)


def listed(model: Section, key: str, problems: Problems) -> list[Section]:
    """The items of a list that must be there, each a section."""
    node = model.require(key)
    items = node.items if isinstance(node, Sequence) else ()
    if node is not None and not items:
        problems.add(node.mark, f"{key} must be a list of at least one", "wrong-type")
    return [Section(item, f"{model.where}.{key}.{i}", problems) for i, item in enumerate(items)]
