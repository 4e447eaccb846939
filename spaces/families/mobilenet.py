"""``family: mobilenet``: a stem, stages of inverted residual blocks, a head.

Each stage has a ``depth``, ``width``, ``kernel``, ``expand`` (ratio of hidden to input channels), ``block``
(``inverted``, ``fused`` or ``dense``: :class:`~spaces.families.mobile.Block`), ``squeeze`` (whether blocks squeeze and
excite) and ``activation``, all of which may be chosen, kernel, expand, block and activation also ``per: block``; and a
``stride``. The first block of a stage carries the stride and changes the width; a block that keeps both is a
residual, and with ``shortcut: true`` so is one that does not: what it adds is pooled and projected. The sums of a stage
join its outputs, so they share the stage's width. (MobileNetV2 and V3; Once-for-all, Cai et al. 2020; BigNAS, Yu et al.
2020; AttentiveNAS, Wang et al. 2021; SpaceEvo, Wang et al. 2023.)
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TypeGuard

from spaces.choice import When
from spaces.families.mobile import (
    ACTIVATIONS,
    KINDS,
    LARGEST,
    STEEPEST,
    Block,
    Tensor,
    conv,
    head,
    listed,
    number,
    stem,
)
from spaces.language import Builder, Scope, among, flag, fraction, take, whole
from spaces.layers import Chosen, Field, Record
from spaces.yaml import Section

_DEEPEST = 1_000


def read(model: Section, builder: Builder, classes: int) -> None:
    """Choices and records of the ``model`` section."""
    before = stem(model, builder)
    for position, section in enumerate(listed(model, "stages", builder.problems)):
        before = _stage(builder, section, Scope().enter("stages").enter(position, "stage"), before)
        section.finish()
    head(model, builder, before, classes)


def _stage(builder: Builder, section: Section, scope: Scope, before: Tensor) -> Tensor:
    problems = builder.problems
    depth = builder.field(take(section, "depth", whole(1, _DEEPEST, "depth"), 1, problems), scope, "depth")
    width = number(builder, section, "width", 16, scope)
    expand = take(section, "expand", fraction(0.01, STEEPEST, "expand"), 1, problems)
    kernel = take(section, "kernel", whole(1, LARGEST, "kernel", odd=True), 3, problems)
    squeeze = builder.field(take(section, "squeeze", flag, False, problems), scope, "squeeze")
    kind = take(section, "block", among(KINDS, "block"), KINDS[0], problems)
    stride = section.integer("stride", 1, at_least=1, at_most=4)
    activation = take(section, "activation", among(ACTIVATIONS, "activation"), "relu", problems)
    projected = section.boolean("shortcut", False)
    depths = [int(d) for d in builder.values_of(depth)]
    for position in range(max(depths)):
        inner = scope.enter(position, "block", builder.under(scope, depth, [d for d in depths if d > position]))
        chosen = builder.field(kind, inner, "block", "stage")  # what follows may depend on it
        ratio = builder.field(expand, inner, "expand", "stage")
        size = builder.field(kernel, inner, "kernel", "stage")
        after = builder.word(activation, inner, "activation", "stage")
        step = stride if position == 0 else 1
        block = Block(width, None if ratio == 1 else ratio, size, step, after, squeeze=squeeze, kind=chosen)
        skip: Tensor | None = before
        if position == 0 and (stride != 1 or width != before.channels):
            skip = _shortcut(builder, inner.enter("shortcut"), before, width, stride) if projected else None
        before = block.add(builder, inner, before, skip)
    return before


def _shortcut(builder: Builder, scope: Scope, before: Tensor, width: Field, stride: int) -> Tensor:
    """The input of a block in the shape of its output: its mean over the stride, and a 1x1 convolution to ``width``."""
    if stride != 1:
        record = Record(scope.named("pool"), "avg_pool", (before.path,), kernel=stride, stride=stride)
        before = Tensor(builder.add(record), before.channels)
    for name, when in _changes(builder, scope, before.channels, width):
        before = conv(builder, scope.within(when).enter(name), before, width, norm=False, bias=False)
    return Tensor(before.path, width)


def _changes(builder: Builder, scope: Scope, given: Field, wanted: Field) -> Iterator[tuple[str, When]]:
    """Names and conditions of the convolutions that are needed where the two widths differ: one of them, or none.

    That two choices differ is no condition of its own; so each width that both may have gets a convolution from it to
    the others. Each reads the one before, which is absent wherever it is there itself.
    """
    if given == wanted:
        return
    if not (_always_there(given) and _always_there(wanted)):
        yield "conv", scope.when  # no condition can name the width that stands for an absent choice
        return
    sources, targets = builder.values_of(given), builder.values_of(wanted)
    if others := [v for v in sources if v not in targets]:
        yield "conv", builder.under(scope, given, others)
    for value in sources:
        if value in targets and (others := [v for v in targets if v != value]):
            here = scope.within(builder.under(scope, given, [value]))
            yield f"conv{value}", builder.under(here, wanted, others)


def _always_there(width: Field) -> TypeGuard[int | Chosen]:
    return isinstance(width, int) or (isinstance(width, Chosen) and width.otherwise is None)
