"""``family: gpt``: language models of causal blocks (GPT-2, Radford et al. 2019; nanoGPT).

``tokens`` numbers below ``vocabulary`` are embedded, positions are added, causal blocks with norms first follow, and a
linear head without bias gives the next token. ``positions`` are ``learned`` (as published), a ``sinusoid`` (Vaswani et
al. 2017), or ``none``; ``rotary`` ones (Su et al. 2021) turn queries and keys instead. With ``tied`` (as published) the
head has the embedding's weight. Choices: ``embed``, ``depth``, and ``heads``, ``kv_heads``, ``head_dim`` and
``mlp_ratio`` (or ``ffn``) of the network or ``per: block``.
"""

from __future__ import annotations

from spaces.families.blocks import DEEPEST, WIDEST, Block, Sizes, linear, needed, norm, stack
from spaces.language import Builder, Scope
from spaces.layers import INPUT, Record
from spaces.yaml import Section

POSITIONS = {"learned": "position", "sinusoid": "sinusoid", "rotary": None, "none": None}
"""How they are written -> the kind of layer after the embedding."""


def read(model: Section, builder: Builder, classes: int) -> None:
    """Choices and records of the ``model`` section; ``classes`` is the vocabulary."""
    top = Scope()
    tied = model.boolean("tied", True)
    width = builder.field(needed(model, "embed", WIDEST, builder.problems), top, "embed")
    depth, sizes = needed(model, "depth", DEEPEST, builder.problems), Sizes.read(model, builder.problems)
    embedding = builder.add(Record("embedding", "embedding", (INPUT,), width, rows=classes))
    positions = model.text("positions", "learned", among=POSITIONS)
    kind = POSITIONS[positions]
    before = embedding if kind is None else builder.add(Record("position", kind, (embedding,)))
    for scope in stack(builder, depth, top, top.enter("blocks")):
        block = Block(builder, scope, sizes, width, rotary=positions == "rotary")
        before = block.mlp(block.attention(before, causal=True))
    last = norm(builder, top, before, sizes.norm)
    linear(builder, top.enter("head"), last, classes, bias=False, weight_of=embedding if tied else None)
