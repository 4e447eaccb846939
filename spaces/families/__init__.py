"""Families: from the ``model`` section to choices and records, one file each."""

from __future__ import annotations

from collections.abc import Callable

from spaces.families import choices, convnet, graph
from spaces.language import Builder
from spaces.yaml import Section

Reader = Callable[[Section, Builder, int], None]
"""Reads the ``model`` section into the builder, for a network of so many output classes."""

FAMILIES: dict[str, Reader] = {"choices": choices.read, "convnet": convnet.read, "graph": graph.read}
