"""``family: mobilenet``: a stem, stages of inverted residual blocks, a head.

Each stage has a ``depth``, ``width``, ``kernel``, ``expand`` (ratio of hidden to input channels), ``squeeze`` (whether
blocks squeeze and excite), all of which may be chosen, kernel and expand also ``per: block``; and a ``stride`` and an
``activation``. The first block of a stage carries the stride and changes the width; a block that keeps both is a
residual. The sums of a stage join its outputs, so they share the stage's width. (MobileNetV2 and V3; Once-for-all, Cai
et al. 2020; BigNAS, Yu et al. 2020; AttentiveNAS, Wang et al. 2021.)
"""

from __future__ import annotations

from spaces.families.mobile import ACTIVATIONS, LARGEST, STEEPEST, Block, Tensor, head, listed, number, stem
from spaces.language import Builder, Scope, flag, fraction, take, whole
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
    stride = section.integer("stride", 1, at_least=1, at_most=4)
    activation = section.text("activation", "relu", among=ACTIVATIONS)
    depths = [int(d) for d in builder.values_of(depth)]
    for position in range(max(depths)):
        inner = scope.enter(position, "block", builder.under(scope, depth, [d for d in depths if d > position]))
        block = Block(
            width,
            builder.field(expand, inner, "expand", "stage"),
            builder.field(kernel, inner, "kernel", "stage"),
            stride if position == 0 else 1,
            activation,
            squeeze=squeeze,
        )
        residual = position > 0 or (stride == 1 and width == before.channels)
        before = block.add(builder, inner, before, residual)
    return before
