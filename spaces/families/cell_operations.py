"""The operations of cells: one function each, from the start of an edge to its end.

As DARTS (Liu et al. 2019) and NAS-Bench-201 (Dong & Yang 2020) define them, each starting with its ReLU. Those of
sharpDARTS (Hundt et al. 2019) are separable convolutions too: ``dil_sep`` (its own name is ``dil_conv``) with a dilated
first half, ``flood`` with four times the channels in the middle, ``choke`` with 32 there.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial

from spaces.choice import When
from spaces.language import Builder, Scope
from spaces.layers import IN, Field, Record


@dataclass(frozen=True)
class Edge:
    """Where an operation stands: ``before`` its start, ``stride`` 1 or 2.

    ``halves``: the conditions under which the stride is 2, ``None`` if it never is.
    """

    builder: Builder
    scope: Scope
    before: str
    width: int
    stride: Field = 1
    halves: When | None = None

    def add(self, name: str, kind: str, inputs: tuple[str, ...], **fields: object) -> str:
        """A record of this operation."""
        values = {"exists_when": self.scope.when, **fields}
        return self.builder.add(Record(self.scope.named(name), kind, inputs, **values))  # type: ignore[arg-type]

    def relu(self, name: str, before: str) -> str:
        """The activation that these operations start with."""
        return self.add(name, "activation", (before,), activation="relu")

    def conv(self, name: str, before: str, out: Field, kernel: int = 1, **fields: object) -> str:
        """A convolution with batch norm; its precision is its own in every cell."""
        place = self.scope.enter(name)
        precision = self.builder.precision(place.tied(place.path))
        return self.add(
            name, "conv", (before,), out=out, kernel=kernel, precision=precision, **{"norm": True, **fields}
        )

    def depthwise(self, name: str, before: str, kernel: int, stride: Field, dilation: int) -> str:
        """A depthwise convolution that a pointwise one follows: without norm or bias of its own."""
        plain = {"groups": IN, "norm": False, "bias": False}
        return self.conv(name, before, IN, kernel, stride=stride, dilation=dilation, **plain)


def _none(edge: Edge) -> str:
    return edge.add("zero", "zero", (edge.before,), out=edge.width, stride=edge.stride)


def _skip(edge: Edge) -> str:
    """The input itself; where the stride is 2, two pointwise convolutions of shifted halves, concatenated."""
    if edge.halves is None:
        return edge.before
    return factorized(replace(edge, scope=edge.scope.within(edge.scope.when + edge.halves)), edge.before)


def factorized(edge: Edge, before: str) -> str:
    """Half the places, in ``width`` channels: two pointwise convolutions with stride 2, one of the shifted input.

    The shift, by one place each way, is no layer of the outline.
    """
    start = edge.relu("relu", before)
    halves = (
        edge.conv("even", start, edge.width - edge.width // 2, stride=2),
        edge.conv("odd", start, edge.width // 2, stride=2),
    )
    return edge.add("concat", "concat", halves)


def _convolved(edge: Edge, kernel: int) -> str:
    return edge.conv("conv", edge.relu("relu", edge.before), edge.width, kernel, stride=edge.stride)


def _pooled(edge: Edge, kind: str) -> str:
    return edge.add("pool", kind, (edge.before,), kernel=3, stride=edge.stride)


def _separable(edge: Edge, kernel: int, dilation: int = 1, times: int = 1, middle: int | None = None) -> str:
    """Twice depthwise and pointwise, with ``middle`` channels between the two, else ``times`` those of the edge."""
    width = edge.width * times if middle is None else middle
    first = edge.depthwise("depthwise1", edge.relu("relu1", edge.before), kernel, edge.stride, dilation)
    inner = edge.conv("pointwise1", first, width)
    second = edge.depthwise("depthwise2", edge.relu("relu2", inner), kernel, 1, 1)
    return edge.conv("pointwise2", second, edge.width)


def _dilated(edge: Edge, kernel: int) -> str:
    wide = edge.depthwise("depthwise", edge.relu("relu", edge.before), kernel, edge.stride, 2)
    return edge.conv("pointwise", wide, edge.width)


_FLOOD, _CHOKE = 4, 32  # times the edge's channels; channels
OPERATIONS: dict[str, Callable[[Edge], str]] = {
    "none": _none,
    "skip_connect": _skip,
    "nor_conv_1x1": partial(_convolved, kernel=1),
    "nor_conv_3x3": partial(_convolved, kernel=3),
    "avg_pool_3x3": partial(_pooled, kind="avg_pool"),
    "max_pool_3x3": partial(_pooled, kind="max_pool"),
    "sep_conv_3x3": partial(_separable, kernel=3),
    "sep_conv_5x5": partial(_separable, kernel=5),
    "sep_conv_7x7": partial(_separable, kernel=7),
    "dil_conv_3x3": partial(_dilated, kernel=3),
    "dil_conv_5x5": partial(_dilated, kernel=5),
    "dil_sep_conv_3x3": partial(_separable, kernel=3, dilation=2),
    "dil_sep_conv_5x5": partial(_separable, kernel=5, dilation=2),
    "flood_conv_3x3": partial(_separable, kernel=3, times=_FLOOD),
    "flood_conv_5x5": partial(_separable, kernel=5, times=_FLOOD),
    "dil_flood_conv_3x3": partial(_separable, kernel=3, dilation=2, times=_FLOOD),
    "choke_conv_3x3": partial(_separable, kernel=3, middle=_CHOKE),
    "dil_choke_conv_3x3": partial(_separable, kernel=3, dilation=2, middle=_CHOKE),
}
