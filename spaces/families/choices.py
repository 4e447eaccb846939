"""``family: choices``: a tree of choices and nothing else, without layers.

For spaces of other things than one network (spaces of spaces, settings of training), for comparing strategies, and as
the plainest form of the language: everything :mod:`spaces.language` knows, nested to any depth::

    choices:
      optimizer: {one_of: {sgd: {momentum: {choice: [0.0, 0.9]}}, adam: {}}}
      layers: {repeat: {range: [1, 4]}, of: {width: {choice: [8, 16]}, dropout: {optional: {rate: {choice: [0.1]}}}}}
"""

from __future__ import annotations

from spaces.language import Builder, Scope
from spaces.language.fields import anything, option
from spaces.language.tree import walk
from spaces.yaml import Mapping, Node, Section, describe


def read(model: Section, builder: Builder, classes: int) -> None:
    """The choices of the ``model`` section; a single value anywhere is a constant, and no choice."""
    tree = model.require("choices")
    if tree is None:
        return
    where = f"{model.where}.choices"
    if not isinstance(tree, Mapping):
        said = f"'{where}' must be a mapping from names to choices, not {describe(tree)}"
        builder.problems.add(tree.mark, said, "wrong-type")
        return

    def leaf(node: Node, path: str, scope: Scope, key: str) -> None:
        found = option(node, path, key, anything, builder.problems)
        if found is not None:
            builder.field(found, scope, key)

    walk(tree, where, Scope(), builder, leaf)
