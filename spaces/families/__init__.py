"""Families: from the ``model`` section to choices and outline, one file each."""

from __future__ import annotations

from collections.abc import Callable

from spaces.choice import Choice
from spaces.families import convnet
from spaces.families.options import Option
from spaces.outline import Outline
from spaces.yaml import Problems, Section

Reader = Callable[[Section, Option, tuple[int, int, int], int, Problems], tuple[tuple[Choice, ...], Outline]]

FAMILIES: dict[str, Reader] = {"convnet": convnet.read}
