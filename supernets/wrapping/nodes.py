"""A trace as a list of operations. Sizes have :data:`BATCH` for the batch, a prime that divides nothing else."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

BATCH = 1_000_003


@dataclass(frozen=True)
class Ref:
    """As an argument: the result of the node of this name."""

    name: str


@dataclass
class Node:
    """One operation. ``sizes`` of the tensor that it makes, ``None`` of other results; ``module`` is its path.

    ``op`` is ``input``, ``held`` (``target`` is the name of the parameter or buffer), ``output``, or a name of torch's.
    """

    name: str
    op: str
    args: tuple[Any, ...] = ()
    options: dict[str, Any] = field(default_factory=dict)
    sizes: tuple[int, ...] | None = None
    module: str = ""
    target: str = ""
    dtype: torch.dtype = torch.float32

    def refs(self) -> Iterator[str]:
        """Names of the nodes that it reads, in order."""
        yield from _refs((self.args, tuple(self.options.values())))


@dataclass(frozen=True)
class Trace:
    """Nodes in order; the values of what is held by its name, and which of them are trained; paths of modules."""

    nodes: tuple[Node, ...]
    held: dict[str, Tensor]
    trained: frozenset[str]
    modules: dict[str, str]  # path -> class


def _refs(value: Any) -> Iterator[str]:
    if isinstance(value, Ref):
        yield value.name
    elif isinstance(value, list | tuple):
        for item in value:
            yield from _refs(item)
    elif isinstance(value, dict):
        yield from _refs(tuple(value.values()))
