"""What a network reads and gives: as its ``model`` section says, else as the dataset has it."""

from __future__ import annotations

from spaces.datasets import ANY_SHAPE, SHAPES
from spaces.families import PICTURES, SEQUENCES
from spaces.yaml import Node, Problems, Scalar, Section, Sequence

_LONGEST = 1_000_000  # far beyond use
Interface = tuple[tuple[int, int, int], int]
"""Input shape (c, h, w) and the number of values of the output."""


def interface(family: str, model: Section, data: Section, problems: Problems) -> Interface:
    """What a network of this family reads and gives.

    Sequences of token numbers have shape (sequences, tokens, 1), and the vocabulary is what they give; a picture gives
    as many channels as it has; all others read an image and give classes.
    """
    if family in SEQUENCES:
        return (SEQUENCES[family], _needed(model, "tokens", 1), 1), _needed(model, "vocabulary", 2)
    picture = family in PICTURES
    written = model.has("input") and (picture or model.has("classes"))
    names = sorted((*SHAPES, *ANY_SHAPE))
    dataset = data.text("dataset", "entry" if data.has("entry") else "digits", among=None if written else names)
    if not written and dataset not in SHAPES:
        keys = "the key input" if picture else "the keys input and classes"
        problems.add(model.mapping_mark, f"data of any shape: 'space.model' needs {keys}", "missing-key")
    known_shape, known_classes = SHAPES.get(dataset, ((1, 1, 1), 2))
    classes = known_classes if picture else model.integer("classes", known_classes, at_least=2)
    node = model.child("input")
    shape = _shape(node, problems) if node is not None else known_shape
    return shape, shape[0] if picture else classes


def _needed(model: Section, key: str, at_least: int) -> int:
    model.require(key)
    return model.integer(key, at_least, at_least=at_least, at_most=_LONGEST)


def _shape(node: Node, problems: Problems) -> tuple[int, int, int]:
    items = node.items if isinstance(node, Sequence) else ()
    sizes = [i.value for i in items if isinstance(i, Scalar) and type(i.value) is int and i.value >= 1]
    if len(items) != 3 or len(sizes) != 3:
        problems.add(node.mark, "input must be [channels, height, width], whole numbers from 1", "wrong-type")
        return (1, 1, 1)
    return sizes[0], sizes[1], sizes[2]
