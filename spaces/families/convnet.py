"""``family: convnet``: stages of conv - batch norm - ReLU blocks, optional residuals, a global pool and a classifier.

Choices: depth and width per stage, kernel per stage or block, and a precision per layer. A block is
``relu(bn(conv(x)))``, with ``residual: true`` ``relu(bn(conv(x)) + x)`` wherever the block keeps its input's shape:
every block of a stage but the first. A stage's first block carries the stride. The tensors that an add joins are the
output of one stage, so they share the stage's width choice.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from spaces.language import Builder, Option, Scope, take, whole
from spaces.layers import INPUT, Field, Record
from spaces.yaml import Problems, Section, Sequence

_DEEPEST, _WIDEST, _LARGEST = 1_000, 65_536, 99  # far beyond use; a slip of the finger must not fill the memory


@dataclass(frozen=True)
class _Stage:
    depth: Option
    width: Option
    kernel: Option
    stride: int
    residual: bool


def read(model: Section, builder: Builder, classes: int) -> None:
    """Choices and records of the ``model`` section."""
    before = INPUT
    for position, stage in enumerate(_stages(model, builder.problems)):
        before = _stage(builder, Scope().enter("stages").enter(position, "stage"), stage, before)
    pool = builder.add(Record("pool", "pool", (before,)))
    precision = builder.precision(Scope().enter("classifier"))
    builder.add(Record("classifier", "linear", (pool,), out=classes, precision=precision))


def _stages(model: Section, problems: Problems) -> list[_Stage]:
    node = model.require("stages")
    items = node.items if isinstance(node, Sequence) else ()
    if node is not None and not items:
        problems.add(node.mark, "stages must be a list of at least one stage", "wrong-type")
    stages = []
    for position, item in enumerate(items):
        section = Section(item, f"{model.where}.stages.{position}", problems)
        options = {
            "depth": take(section, "depth", whole(1, _DEEPEST, "depth"), 1, problems),
            "width": take(section, "width", whole(1, _WIDEST, "width"), 16, problems),
            "kernel": take(section, "kernel", whole(1, _LARGEST, "kernel", odd=True), 3, problems),
        }
        stride = section.integer("stride", 1, at_least=1, at_most=4)
        residual = section.boolean("residual", False)
        for name, scopes in (("depth", ("stage",)), ("width", ("stage",)), ("kernel", ("stage", "block"))):
            option = options[name]
            if option.per is not None and option.per not in scopes:
                problems.add(option.mark, f"{name} of a convnet can be chosen per {' or '.join(scopes)}", "wrong-scope")
                option = replace(option, per=None)
            options[name] = option
        section.finish()
        stages.append(_Stage(options["depth"], options["width"], options["kernel"], stride, residual))
    return stages


def _stage(builder: Builder, scope: Scope, stage: _Stage, before: str) -> str:
    depth = builder.field(stage.depth, scope, "depth")
    width = builder.field(stage.width, scope, "width")
    depths = [int(d) for d in builder.values_of(depth)]
    for block in range(max(depths)):
        when = builder.under(scope, depth, [d for d in depths if d > block])
        inner = scope.enter(block, "block", when)
        kernel = builder.field(stage.kernel, inner, "kernel", "stage")
        stride = stage.stride if block == 0 else 1
        before = _conv(builder, inner, width, kernel, stride, before, stage.residual and block > 0)
    return before


def _conv(builder: Builder, scope: Scope, width: Field, kernel: Field, stride: int, before: str, joined: bool) -> str:
    place = scope.enter("conv")
    conv = builder.add(
        Record(
            path=place.path,
            kind="conv",
            inputs=(before,),
            out=width,
            kernel=kernel,
            stride=stride,
            norm=True,
            activation="none" if joined else "relu",
            precision=builder.precision(place),
            exists_when=place.when,
        )
    )
    if not joined:
        return conv
    # The skip stands second: an absent add is read through its first input, and so is the absent conv's.
    return builder.add(Record(scope.named("add"), "add", (conv, before), activation="relu", exists_when=scope.when))
