"""``family: layerwise``: at every position of a fixed macro-architecture, one of several operations.

``operations`` names inverted residual blocks (``{expand, kernel, groups, squeeze}``; without ``expand`` they have no
expanding convolution, with ``expand: 1`` they do) and ways to leave the position out (``{skip: true}``); ``layers``
lists the positions, each with ``width``, ``stride`` and perhaps fewer ``operations``. The choice of a position has its
path as name (``layers.3``). A skip passes its input on; where stride or width change it is a 1x1 convolution, so that
every position keeps all its operations. (FBNet, Wu et al. 2019; NAS-Bench-Macro, Su et al. 2021.)
"""

from __future__ import annotations

from dataclasses import dataclass

from spaces.families.mobile import ACTIVATIONS, LARGEST, STEEPEST, WIDEST, Block, Tensor, conv, head, listed, stem
from spaces.language import Builder, Scope
from spaces.layers import Chosen, Position, Record
from spaces.yaml import Mapping, Section, shown


@dataclass(frozen=True)
class _Operation:
    skip: bool
    expand: float | None
    kernel: int
    groups: int
    squeeze: bool


def read(model: Section, builder: Builder, classes: int) -> None:
    """Choices and records of the ``model`` section."""
    activation = model.text("activation", "relu", among=ACTIVATIONS)
    operations = _operations(model, builder)
    before = stem(model, builder)
    for position, section in enumerate(listed(model, "layers", builder.problems)):
        width = section.integer("width", 16, at_least=1, at_most=WIDEST)
        stride = section.integer("stride", 1, at_least=1, at_most=4)
        names = section.texts("operations", list(operations), among=list(operations))
        section.finish()
        scope = Scope().enter("layers").enter(position, "block")
        chosen = {name: operations[name] for name in names}
        before = _position(builder, scope, chosen, Block(width, None, 3, stride, activation), before, section)
    head(model, builder, before, classes)


def _operations(model: Section, builder: Builder) -> dict[str, _Operation]:
    node = model.require("operations")
    entries = node.entries if isinstance(node, Mapping) else ()
    if node is not None and not entries:
        said = f"'{model.where}.operations' must be a mapping from names to operations, at least one"
        builder.problems.add(node.mark, said, "wrong-type")
    found = {}
    for key, value in entries:
        if not key.text or "." in key.text:
            said = f"a name must be a word without dots, not {shown(key.text)}"
            builder.problems.add(key.mark, said, "wrong-name")
        section = Section(value, f"{model.where}.operations.{key.text}", builder.problems)
        found[key.text] = _operation(section, builder)
        section.finish()
    return found


def _operation(section: Section, builder: Builder) -> _Operation:
    kernel = section.integer("kernel", 3, at_least=1, at_most=LARGEST)
    if kernel % 2 == 0:
        builder.problems.add(section.mark("kernel"), f"kernel must be an odd number, got {kernel}", "out-of-range")
    return _Operation(
        skip=section.boolean("skip", False),
        expand=section.number("expand", None, above=0, at_most=STEEPEST),
        kernel=kernel,
        groups=section.integer("groups", 1, at_least=1, at_most=WIDEST),
        squeeze=section.boolean("squeeze", False),
    )


def _position(
    builder: Builder, scope: Scope, operations: dict[str, _Operation], like: Block, before: Tensor, section: Section
) -> Tensor:
    if not operations:
        return before
    switch = builder.switch(scope, list(operations), section.mapping_mark)
    keeps = like.stride == 1 and like.width == before.channels
    ends = []
    for name, operation in operations.items():
        inner = scope.enter(name, when=builder.under(scope, switch, [name]))
        if operation.skip:
            place = inner.enter("project")
            ends.append(before if keeps else conv(builder, place, before, like.width, stride=like.stride))
            continue
        block = Block(
            like.width, operation.expand, operation.kernel, like.stride, like.activation, operation.groups,
            operation.squeeze,
        )  # fmt: skip
        ends.append(block.add(builder, inner, before, before if keeps else None))
    if not isinstance(switch, Chosen):
        return ends[0]
    rows = Position(switch.name, tuple(operations))
    path = builder.add(Record(scope.named("select"), "select", tuple(end.path for end in ends), rows=rows))
    return Tensor(path, like.width)
