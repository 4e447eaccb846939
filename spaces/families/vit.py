"""``family: vit``: image classifiers of patches as tokens (Dosovitskiy et al. 2021; AutoFormer, Chen et al. 2021).

A convolution makes tokens of ``patch`` x ``patch`` pixels, a class token stands before them, learned positions are
added, blocks with norms first follow, and a classifier reads the class token. Choices: ``embed``, ``depth``, and
``heads``, ``kv_heads``, ``head_dim`` and ``mlp_ratio`` (or ``ffn``) of the network or ``per: block``. AutoFormer's
relative positions are not part.
"""

from __future__ import annotations

from spaces.families.blocks import DEEPEST, WIDEST, Block, Sizes, linear, needed, norm, stack
from spaces.language import Builder, Scope
from spaces.layers import INPUT, Record
from spaces.yaml import Section


def read(model: Section, builder: Builder, classes: int) -> None:
    """Choices and records of the ``model`` section."""
    top = Scope()
    patch = model.integer("patch", 16, at_least=1, at_most=WIDEST)
    width = builder.field(needed(model, "embed", WIDEST, builder.problems), top, "embed")
    depth, sizes = needed(model, "depth", DEEPEST, builder.problems), Sizes.read(model, builder.problems)
    precision = builder.precision(top.enter("patches"))
    patches = Record("patches", "conv", (INPUT,), width, patch, patch, precision=precision, padding=0)
    before = builder.add(patches)
    for kind in ("tokens", "class_token", "position"):
        before = builder.add(Record(kind, kind, (before,)))
    for scope in stack(builder, depth, top, top.enter("blocks")):
        block = Block(builder, scope, sizes, width)
        before = block.mlp(block.attention(before))
    first = builder.add(Record("first", "first", (norm(builder, top, before, sizes.norm),)))
    linear(builder, top.enter("classifier"), first, classes)
