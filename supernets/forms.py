"""The forms of a tensor between layers, and the ways between them.

The outline says c, h, w of every tensor. In torch that is a *picture* (b, c, h, w), *tokens* (b, t, c) with t = h, or a
*vector* (b, c), which has one place. Each kind of layer works on the form that suits it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from torch import Tensor

Module = Callable[[Tensor], Tensor]


def picture(x: Tensor) -> Tensor:
    """As (b, c, h, w); tokens stand below each other, w = 1."""
    if x.dim() == 4:
        return x
    return x[:, :, None, None] if x.dim() == 2 else x.transpose(1, 2).unsqueeze(3)


def tokens(x: Tensor) -> Tensor:
    """As (b, t, c): the places of a picture row by row; of a vector one."""
    if x.dim() == 3:
        return x
    return x[:, None] if x.dim() == 2 else x.flatten(2).transpose(1, 2)


def alike(x: Tensor, other: Tensor) -> Tensor:
    """``other`` in the form of ``x``, with as many places, or with one."""
    if x.dim() == other.dim():
        return other
    if x.dim() == 3:
        return tokens(other)
    if x.dim() == 2:
        return other.flatten(1)
    places = tokens(other).transpose(1, 2)
    return places.reshape(*places.shape[:2], *(x.shape[2:] if places.shape[2] > 1 else (1, 1)))


def over_features(layer: Module, x: Tensor) -> Tensor:
    """A layer over the features of each place, which wants them last."""
    if x.dim() < 4:
        return layer(x)
    if x.shape[2] == x.shape[3] == 1:
        return layer(x.flatten(1))
    return layer(x.movedim(1, -1)).movedim(-1, 1)


def _numbers(layer: Module, x: Tensor) -> Tensor:
    """Token numbers (b, t), also where they come as a picture of one channel."""
    return layer(x[:, 0].flatten(1).long() if x.dim() == 4 else x)


CALLED: Mapping[str, Callable[[Module, Tensor], Tensor]] = {
    "class_token": lambda layer, x: layer(tokens(x)),
    "conv": lambda layer, x: layer(picture(x)),
    "embedding": _numbers,
    "linear": over_features,
    "norm": over_features,
    "position": lambda layer, x: layer(x),
    "rms_norm": over_features,
}
"""How a layer with parameters is called, by its kind."""
