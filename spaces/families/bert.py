"""``family: bert``: masked language models (Devlin et al. 2019; elastic ones as in MoS, Jawahar et al. 2023).

``tokens`` numbers below ``vocabulary`` are embedded, learned positions are added, blocks with norms after their adds
follow, and the head (linear, GELU, norm, linear) gives every token; its last layer shares the embedding's weight. A
segment embedding is a constant for a single segment, and part of the positions. Choices: ``embed``, ``depth``, and
``heads``, ``kv_heads``, ``head_dim`` and ``ffn`` (or ``mlp_ratio``) of the network or ``per: block``.

With ``hidden``, of the network or per block, a block works in so many features, between two linear layers that lead
from and to the stream; the stream then keeps ``embed`` features.
"""

from __future__ import annotations

from spaces.families.blocks import DEEPEST, WIDEST, Block, Sizes, linear, needed, norm, optional, stack
from spaces.language import Builder, Option, Scope
from spaces.layers import INPUT, Record
from spaces.yaml import Section


def read(model: Section, builder: Builder, classes: int) -> None:
    """Choices and records of the ``model`` section; ``classes`` is the vocabulary."""
    top, problems = Scope(), builder.problems
    width = builder.field(needed(model, "embed", WIDEST, problems), top, "embed")
    depth, sizes = needed(model, "depth", DEEPEST, problems), Sizes.read(model, problems)
    hidden = optional(model, "hidden", WIDEST, problems)
    embedding = builder.add(Record("embedding", "embedding", (INPUT,), width, rows=classes))
    before = norm(builder, top, builder.add(Record("position", "position", (embedding,))), sizes.norm)
    for scope in stack(builder, depth, top, top.enter("blocks")):
        if hidden is None:
            before = _block(Block(builder, scope, sizes, width, norm_first=False), before)
        else:
            inner = _narrow(builder, scope, sizes, hidden, before)
            before = linear(builder, scope.enter("leave"), inner, width)
    head = top.enter("head")
    changed = norm(builder, head, linear(builder, head.enter("transform"), before, width, "gelu"), sizes.norm)
    linear(builder, head.enter("tokens"), changed, classes, weight_of=embedding)


def _narrow(builder: Builder, scope: Scope, sizes: Sizes, hidden: Option, before: str) -> str:
    width = builder.field(hidden, scope, "hidden", "network")
    entered = linear(builder, scope.enter("enter"), before, width)
    return _block(Block(builder, scope, sizes, width, norm_first=False), entered)


def _block(block: Block, before: str) -> str:
    return block.mlp(block.attention(before))
