"""Layers of a traced network that are one operation of torch."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import torch

from spaces import Layer
from spaces.call import Given
from supernets.functions.operations import operation

_NAMED: Mapping[str, Any] = {
    **{str(t): t for t in vars(torch).values() if isinstance(t, torch.dtype | torch.memory_format | torch.layout)},
    "torch.inf": math.inf, "torch.-inf": -math.inf, "torch.nan": math.nan,
}  # fmt: skip


def call(layer: Layer, *given: Any) -> Any:
    """The operation, its arguments filled in."""
    assert layer.call is not None
    said = layer.call.call
    options = {name: _filled(value, given) for name, value in said.options}
    if "device" in options:
        options["device"] = _device(options["device"])
    return operation(said.op)(*_filled(said.args, given), **options)


def output(layer: Layer, *given: Any) -> Any:
    """What the network gives: a tensor, or tuples and mappings of these."""
    assert layer.call is not None
    return _structure(layer.call.call.args[0], given)


def _structure(value: Any, given: Sequence[Any]) -> Any:
    if isinstance(value, Given):
        return given[value.index]
    if isinstance(value, tuple):
        if value[:1] == ("dict",):
            return {key: _structure(item, given) for key, item in value[1:]}
        return tuple(_structure(item, given) for item in value)
    return value


def named(value: str) -> Any:
    """The type of numbers, or the special number, of this name."""
    return _NAMED.get(value, value)


def _filled(value: Any, given: Sequence[Any]) -> Any:
    if isinstance(value, Given):
        return given[value.index]
    if isinstance(value, tuple):
        return tuple([_filled(item, given) for item in value])
    return named(value) if isinstance(value, str) else value


def _device(value: Any) -> torch.device:
    while isinstance(value, tuple):
        value = value[0]
    device: torch.device = value.device
    return device
