"""``family: transformer``: encoder and decoder for translation, elastic as in HAT (Wang et al. 2020).

The input is two sequences of as many ``tokens``, numbers below ``vocabulary``: source and target. Each side embeds its
own and adds fixed waves; blocks have ReLU and norms after their adds. The ``encoder`` has a fixed ``depth``, the
decoder's may be chosen. Of each side ``embed``, and ``heads``, ``kv_heads``, ``head_dim`` and ``ffn`` (or
``mlp_ratio``) of the side or ``per: block``, may be chosen; of the decoder's blocks also ``cross_heads`` and
``cross_kv_heads``, of the attention to the encoder, and ``cross_reach``: -1 attends to the last block of the encoder, 1
to the last two, 2 to the last three, the tokens of one after those of the other. With ``tied`` (as published) the head
has the weight of the target's embedding.
"""

from __future__ import annotations

from dataclasses import replace

from spaces.choice import Value
from spaces.families.blocks import DEEPEST, WIDEST, Block, Sizes, linear, needed, optional, stack
from spaces.language import Builder, Option, Scope, take
from spaces.layers import INPUT, Chosen, Record
from spaces.yaml import Node, Problems, Scalar, Section

REACHES = {-1: 1, 1: 2, 2: 3}
"""How many blocks of the encoder, from its last, a ``cross_reach`` attends to."""


def read(model: Section, builder: Builder, classes: int) -> None:
    """Choices and records of the ``model`` section; ``classes`` is the vocabulary."""
    tied = model.boolean("tied", True)
    if None in [model.require(side) for side in ("encoder", "decoder")]:
        return
    ends = _encoder(model.section("encoder"), builder, classes)
    _decoder(model.section("decoder"), builder, classes, ends, tied)


def _encoder(section: Section, builder: Builder, vocabulary: int) -> list[str]:
    """The outputs of all blocks."""
    scope = Scope().enter("encoder", "stage")
    section.require("depth")
    enough = max(REACHES.values())  # where it is wrong, no further problem of it
    count = section.integer("depth", enough, at_least=1, at_most=DEEPEST)
    depth = Option((count,), None, section.mark("depth"))
    width, sizes = _sizes(section, builder, scope)
    section.finish()
    before = _embedded(builder, scope, "source", 0, width, vocabulary)
    ends = []
    for inner in stack(builder, depth, scope, scope):
        block = Block(builder, inner, sizes, width, norm_first=False, activation="relu")
        before = block.mlp(block.attention(before))
        ends.append(before)
    return ends


def _decoder(section: Section, builder: Builder, vocabulary: int, ends: list[str], tied: bool) -> None:
    scope, problems = Scope().enter("decoder", "stage"), builder.problems
    depth = needed(section, "depth", DEEPEST, problems)
    width, sizes = _sizes(section, builder, scope)
    heads = needed(section, "cross_heads", DEEPEST, problems)
    cross = replace(sizes, heads=heads, kv_heads=optional(section, "cross_kv_heads", DEEPEST, problems))
    reach = take(section, "cross_reach", _reach, -1, problems)
    section.finish()
    before = _embedded(builder, scope, "target", 1, width, vocabulary)
    for inner in stack(builder, depth, scope, scope):
        block = Block(builder, inner, sizes, width, norm_first=False, activation="relu")
        memory = _memory(builder, inner, reach, ends)
        attended = replace(block, sizes=cross).attention(block.attention(before, causal=True), False, memory, "cross")
        before = block.mlp(attended)
    shared = scope.named("embedding") if tied else None
    linear(builder, Scope().enter("head"), before, vocabulary, bias=False, weight_of=shared)


def _sizes(section: Section, builder: Builder, scope: Scope) -> tuple[Value | Chosen, Sizes]:
    width = builder.field(needed(section, "embed", WIDEST, builder.problems), scope, "embed", "stage")
    return width, Sizes.read(section, builder.problems, "stage")


def _embedded(builder: Builder, scope: Scope, name: str, row: int, width: Value | Chosen, vocabulary: int) -> str:
    numbers = builder.add(Record(name, "channel", (INPUT,), rows=row))
    features = builder.add(Record(scope.named("embedding"), "embedding", (numbers,), width, rows=vocabulary))
    return builder.add(Record(scope.named("position"), "sinusoid", (features,)))


def _reach(node: Node, problems: Problems) -> Value | None:
    if isinstance(node, Scalar) and type(node.value) is int and node.value in REACHES:
        return node.value
    said = "cross_reach must be -1 (the encoder's last block), 1 (its last two) or 2 (its last three)"
    problems.add(node.mark, said, "out-of-range")
    return None


def _memory(builder: Builder, scope: Scope, option: Option, ends: list[str]) -> str:
    """What the decoder block at ``scope`` attends to; of the records that append tokens at most one is present."""
    reach = builder.field(option, scope, "cross_reach", "stage")
    memory = ends[-1]
    for value in builder.values_of(reach):
        count = REACHES[int(value)]
        if count > len(ends):
            said = f"cross_reach {value} needs {count} blocks in the encoder, which has {len(ends)}"
            builder.problems.add(option.mark, said, "wrong-shape")
        elif count > 1:
            when = builder.under(scope, reach, [value])
            inputs = (memory, *ends[-2 : -count - 1 : -1])
            memory = builder.add(Record(scope.named(f"last{count}"), "append", inputs, exists_when=when))
    return memory
