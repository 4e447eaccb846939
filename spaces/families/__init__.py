"""Families: from the ``model`` section to choices and records, one file each."""

from __future__ import annotations

from collections.abc import Callable

from spaces.families import (
    bert,
    cell,
    choices,
    convnet,
    gpt,
    graph,
    layerwise,
    mobilenet,
    resnet,
    superres,
    transformer,
    vit,
)
from spaces.language import Builder
from spaces.yaml import Section

Reader = Callable[[Section, Builder, int], None]
"""Reads the ``model`` section into the builder, for a network of so many output classes."""

FAMILIES: dict[str, Reader] = {
    "bert": bert.read,
    "cell": cell.read,
    "choices": choices.read,
    "convnet": convnet.read,
    "gpt": gpt.read,
    "graph": graph.read,
    "layerwise": layerwise.read,
    "mobilenet": mobilenet.read,
    "resnet": resnet.read,
    "superres": superres.read,
    "transformer": transformer.read,
    "vit": vit.read,
}
SEQUENCES: dict[str, int] = {"bert": 1, "gpt": 1, "transformer": 2}
"""Families that read this many sequences of ``tokens`` numbers below ``vocabulary``, and give a number like these."""
PICTURES = frozenset({"superres"})
"""Families that give a picture, with the channels of the one they read."""
