"""``family: resnet``: a stem, stages of residual blocks, a pool and a classifier (He et al. 2016).

A stage has ``depth``, ``width`` (channels of its output), ``kernel`` and ``expand`` (ratio of the channels inside a
block to ``width``), all of which may be chosen, and a ``stride``; ``block`` is ``basic`` (two convolutions) or
``bottleneck`` (1x1, k x k with the stride, 1x1). The sums of a stage join its outputs, so they share the stage's width.
The first block's skip is a 1x1 convolution where stride or width change.
"""

from __future__ import annotations

from spaces.families.mobile import LARGEST, STEEPEST, Tensor, conv, listed, number
from spaces.families.mobile import stem as first
from spaces.language import Builder, Scope, fraction, take, whole
from spaces.layers import Field, Record, Scaled
from spaces.yaml import Section

BLOCKS = {"basic": 1.0, "bottleneck": 0.25}  # with the usual ratio inside
_DEEPEST = 1_000


def read(model: Section, builder: Builder, classes: int) -> None:
    """Choices and records of the ``model`` section."""
    kind = model.text("block", "basic", among=list(BLOCKS))
    pooled = model.boolean("stem_pool", True)
    before = first(model, builder)
    if pooled:
        path = builder.add(Record("stem.pool", "max_pool", (before.path,), kernel=3, stride=2))
        before = Tensor(path, before.channels)
    for position, section in enumerate(listed(model, "stages", builder.problems)):
        before = _stage(builder, section, Scope().enter("stages").enter(position, "stage"), kind, before)
        section.finish()
    pool = builder.add(Record("pool", "pool", (before.path,)))
    precision = builder.precision(Scope().enter("classifier"))
    builder.add(Record("classifier", "linear", (pool,), out=classes, precision=precision))


def _stage(builder: Builder, section: Section, scope: Scope, kind: str, before: Tensor) -> Tensor:
    problems = builder.problems
    depth = builder.field(take(section, "depth", whole(1, _DEEPEST, "depth"), 1, problems), scope, "depth")
    width = number(builder, section, "width", 64, scope)
    expand = take(section, "expand", fraction(0.01, STEEPEST, "expand"), BLOCKS[kind], problems)
    kernel = take(section, "kernel", whole(1, LARGEST, "kernel", odd=True), 3, problems)
    stride = section.integer("stride", 1, at_least=1, at_most=4)
    depths = [int(d) for d in builder.values_of(depth)]
    for position in range(max(depths)):
        inner = scope.enter(position, "block", builder.under(scope, depth, [d for d in depths if d > position]))
        inside = Scaled(width, builder.field(expand, inner, "expand", "stage"), 1 if expand.fixed else 8)
        size = builder.field(kernel, inner, "kernel", "stage")
        step = stride if position == 0 else 1
        skip = before
        if position == 0 and (stride != 1 or width != before.channels):
            skip = conv(builder, inner.enter("downsample"), before, width, stride=stride)
        after = _inside(builder, inner, kind, before, width, inside, size, step)
        record = Record(inner.named("add"), "add", (after.path, skip.path), activation="relu", exists_when=inner.when)
        before = Tensor(builder.add(record), width)
    return before


def _inside(
    builder: Builder, scope: Scope, kind: str, before: Tensor, width: Field, inside: Field, kernel: Field, stride: int
) -> Tensor:
    if kind == "basic":
        steps = [(inside, kernel, stride), (width, kernel, 1)]
    else:
        steps = [(inside, 1, 1), (inside, kernel, stride), (width, 1, 1)]
    for number_, (out, size, step) in enumerate(steps, 1):
        activation = "relu" if number_ < len(steps) else "none"
        place = scope.enter(f"conv{number_}")
        before = conv(builder, place, before, out, kernel=size, stride=step, activation=activation)
    return before
