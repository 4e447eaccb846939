"""``family: superres``: searched super-resolution networks (QuantNAS, Shvetsov et al. 2022).

A head, cells, an upsampling with pixel shuffle by ``scale``, and a tail; at each of their positions an ``operation``
may be chosen, and the convolutions of one position may share their precision (``per: block``).

Operations are one convolution (``simple``, ``grouped2``, ``grouped3``), one to twice the channels and one back
(``growth``), or one to a quarter of them, one among these and one back (``encoder_decoder``), with a ReLU after each.

- ``head``: ``depth`` positions, from the picture's channels to ``channels``.
- ``cells``: their number. In each, ``body`` has ``depth`` positions one after the other, added to their input but for
  the last, and ``skip`` one beside each but the last. Those beside and the last give half the channels; all are
  concatenated, mixed by a 1x1 convolution and added to the cell's input.
- The cells' outputs are concatenated, mixed by a 1x1 and a 3x3 convolution and added to the head's output.
- ``upsample``: one position; ``tail``: ``depth`` positions (0: none), together added to what they read.

``support`` is the precision of the convolutions that are not at a position. The published scale of a cell's sum by the
deviation of its input is a single number, and not part.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from spaces.families.blocks import DEEPEST, WIDEST, stack
from spaces.language import Builder, Option, Scope, among, take, whole
from spaces.language.precisions import read_precision
from spaces.layers import IN, INPUT, Field, LayerPrecision, Record, Scaled
from spaces.yaml import Section

KERNELS = (1, 3, 5)
OPERATIONS: dict[str, tuple[str, int, int]] = {
    f"{name}_{kernel}": (form, groups, kernel)
    for name, form, groups in (
        ("simple", "simple", 1),
        ("grouped2", "simple", 2),
        ("grouped3", "simple", 3),
        ("growth", "growth", 1),
        ("encoder_decoder", "encoder_decoder", 1),
    )
    for kernel in KERNELS
}
"""Name of an operation -> its form, groups and kernel."""
_INNER: dict[str, tuple[Field, ...]] = {
    "simple": (),
    "growth": (Scaled(IN, 2),),
    "encoder_decoder": (Scaled(IN, 0.25), IN),
}
"""Form -> the channels of its convolutions before the last."""


def read(model: Section, builder: Builder, classes: int) -> None:
    """Choices and records of the ``model`` section; ``classes`` is the number of the picture's channels."""
    scale = model.integer("scale", 2, at_least=1, at_most=16)
    channels = model.integer("channels", 48, at_least=4, at_most=WIDEST)
    cells = model.integer("cells", 1, at_least=1, at_most=DEEPEST)
    support = take(model, "support", read_precision, "float", builder.problems)
    parts = {key: _Part.read(model, builder, key) for key in ("head", "body", "skip", "upsample", "tail")}
    network = _Network(builder, parts, support, channels)
    start = network.chain("head", INPUT, channels)
    before, ends = start, []
    for number in range(cells):
        before = network.cell(Scope().enter("cells").enter(number), before)
        ends.append(before)
    mixed = network.conv("mix", builder.add(Record("concat", "concat", tuple(ends))), 1)
    added = builder.add(Record("add", "add", (network.conv("trunk", mixed, 3), start)))
    larger = network.operation("upsample", Scope().enter("upsample", "block"), added, classes * scale**2, "none")
    picture = builder.add(Record("shuffle", "shuffle", (larger,), stride=scale))
    network.tail(picture, classes)


@dataclass(frozen=True)
class _Part:
    """A section of positions: how many, and what may stand there. The mark is that of the section."""

    depth: Option
    operation: Option

    @classmethod
    def read(cls, model: Section, builder: Builder, key: str) -> _Part:
        """The section of this key. The skip has a position fewer than the body, and the upsampling has one."""
        written = model.require(key) is not None
        section, problems = model.section(key), builder.problems
        least = 0 if key == "tail" else 1
        depth = Option((1,), None, section.mapping_mark)
        if key == "body":
            depth = Option((section.integer("depth", 1, at_least=1, at_most=DEEPEST),), None, section.mark("depth"))
        elif key in ("head", "tail"):
            depth = take(section, "depth", whole(least, DEEPEST, "depth"), 1, problems)
        if written:
            section.require("operation")
        operation = take(section, "operation", among(OPERATIONS, "operation"), "simple_3", problems)
        section.finish()
        return cls(depth, operation)


@dataclass(frozen=True)
class _Network:
    builder: Builder
    parts: Mapping[str, _Part]
    support: Option
    channels: int

    def conv(self, name: str, before: str, kernel: int) -> str:
        """A convolution that is at no position."""
        scope = Scope().enter(name)
        return self._conv(scope, before, self.channels, kernel, self.builder.precision(scope, self.support))

    def chain(self, name: str, before: str, out: int, activation: str = "relu") -> str:
        """Positions one after the other."""
        scope = Scope().enter(name, "stage")
        for inner in stack(self.builder, self.parts[name].depth, scope, scope):
            before = self.operation(name, inner, before, out, activation)
        return before

    def tail(self, before: str, out: int) -> None:
        """The positions after the upsampling, and their sum with what they read, if there are any."""
        made, first = self.chain("tail", before, out, "none"), Scope().enter("tail", "stage")
        if made != before:
            depth = self.builder.field(self.parts["tail"].depth, first, "depth")
            when = self.builder.under(first, depth, [d for d in self.builder.values_of(depth) if d != 0])
            self.builder.add(Record("tail.add", "add", (made, before), exists_when=when))

    def cell(self, scope: Scope, before: str) -> str:
        """One cell."""
        body, skip = scope.enter("body", "stage"), scope.enter("skip", "stage")
        count, stream, parts = int(self.parts["body"].depth.values[0]), before, []
        for number in range(count - 1):
            parts.append(self.operation("skip", skip.enter(number, "block"), stream, self.channels // 2))
            place = body.enter(number, "block")
            made = self.operation("body", place, stream, self.channels)
            stream = self.builder.add(Record(place.named("add"), "add", (made, stream)))
        parts.append(self.operation("body", body.enter(count - 1, "block"), stream, self.channels // 2))
        joined = self.builder.add(Record(scope.named("concat"), "concat", tuple(parts)))
        mixed = self.conv(scope.named("mix"), joined, 1)
        return self.builder.add(Record(scope.named("add"), "add", (mixed, before)))

    def operation(self, part: str, scope: Scope, before: str, out: int, activation: str = "relu") -> str:
        """A position: its alternatives stand one after the other, and those not taken pass their input on."""
        chosen = self.builder.field(self.parts[part].operation, scope, "operation", "block")
        for name in self.builder.values_of(chosen):
            form, groups, kernel = OPERATIONS[str(name)]
            place = scope.enter(str(name), when=self.builder.under(scope, chosen, [name]))
            widths = (*_INNER[form], out)
            for number, width in enumerate(widths):
                inner = place.enter(number)
                last = activation if number == len(widths) - 1 else "relu"
                precision = self.builder.precision(inner)
                before = self._conv(inner, before, width, kernel, precision, groups, last)
        return before

    def _conv(
        self, scope: Scope, before: str, out: Field, kernel: int, precision: LayerPrecision, groups: int = 1,
        activation: str = "none",
    ) -> str:  # fmt: skip
        record = Record(scope.path, "conv", (before,), out, kernel, activation=activation, precision=precision)
        return self.builder.add(replace(record, groups=groups, exists_when=scope.when))
