"""What each kind of layer makes of the shape of its inputs: one rule per kind.

A rule takes the shapes of the inputs, each (c, h, w) of arrays (n,), and the layer's resolved fields.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from spaces.layers import Ints

Shape = tuple[Ints, Ints, Ints]


@dataclass(frozen=True)
class Sizes:
    """Resolved fields of one record over n architectures, each (n,); ``out`` is ``None`` where none is given."""

    out: Ints | None
    kernel: Ints
    stride: Ints
    dilation: int
    padding: int | None
    rows: Ints

    def along(self, size: Ints) -> Ints:
        """Output size along one axis of a window that slides."""
        if self.padding is None:
            return -(-size // self.stride)
        return (size + 2 * self.padding - self.dilation * (self.kernel - 1) - 1) // self.stride + 1


def _window(shapes: Sequence[Shape], sizes: Sizes) -> Shape:
    c, h, w = shapes[0]
    return c if sizes.out is None else sizes.out, sizes.along(h), sizes.along(w)


def _linear(shapes: Sequence[Shape], sizes: Sizes) -> Shape:
    c, h, w = shapes[0]
    return c if sizes.out is None else sizes.out, h, w


def _global(shapes: Sequence[Shape], sizes: Sizes) -> Shape:
    c, h, _ = shapes[0]
    return c, np.ones_like(h), np.ones_like(h)


def _same(shapes: Sequence[Shape], sizes: Sizes) -> Shape:
    return shapes[0]


def _concat(shapes: Sequence[Shape], sizes: Sizes) -> Shape:
    _, h, w = shapes[0]
    return np.sum([c for c, _, _ in shapes], axis=0), h, w


def _flatten(shapes: Sequence[Shape], sizes: Sizes) -> Shape:
    c, h, w = shapes[0]
    return c * h * w, np.ones_like(h), np.ones_like(h)


def _tokens(shapes: Sequence[Shape], sizes: Sizes) -> Shape:
    c, h, w = shapes[0]
    return c, h * w, np.ones_like(w)


def _class_token(shapes: Sequence[Shape], sizes: Sizes) -> Shape:
    c, h, w = shapes[0]
    return c, h + 1, w


def _append(shapes: Sequence[Shape], sizes: Sizes) -> Shape:
    c, _, w = shapes[0]
    return c, np.sum([h for _, h, _ in shapes], axis=0), w


def _channel(shapes: Sequence[Shape], sizes: Sizes) -> Shape:
    c, h, w = shapes[0]
    return np.ones_like(c), h, w


def _upsample(shapes: Sequence[Shape], sizes: Sizes) -> Shape:
    c, h, w = shapes[0]
    return c, h * sizes.stride, w * sizes.stride


def _shuffle(shapes: Sequence[Shape], sizes: Sizes) -> Shape:
    c, h, w = shapes[0]
    return c // sizes.stride**2, h * sizes.stride, w * sizes.stride


RULES: Mapping[str, Callable[[Sequence[Shape], Sizes], Shape]] = {
    "conv": _window,
    "linear": _linear,
    "avg_pool": _window,
    "max_pool": _window,
    "pool": _global,  # the mean over all places
    "first": _global,  # the first token
    "add": _same,
    "multiply": _same,  # by the second input, which may be one place per channel
    "concat": _concat,
    "norm": _same,  # over the features of each token, with scale and shift; a batch norm is a field of its conv
    "rms_norm": _same,  # the same without a mean and a shift
    "activation": _same,
    "attention": _same,  # queries, keys, values; heads of values are as wide as those of queries
    "embedding": _linear,  # tokens to features; ``rows`` entries
    "position": _same,  # adds a learned vector to each place
    "class_token": _class_token,  # puts a learned token before the others
    "sinusoid": _same,  # adds fixed waves to each place
    "rotary": _same,  # turns the features of each head by angles that grow with the token's number
    "append": _append,  # the tokens of one input after those of another
    "channel": _channel,  # the one channel of its input whose number ``rows`` says
    "tokens": _tokens,  # places become tokens
    "flatten": _flatten,
    "upsample": _upsample,  # by ``stride``
    "shuffle": _shuffle,  # pixel shuffle by ``stride``
    "zero": _window,  # gives zeros
    "select": _same,  # stands for the input whose number ``rows`` says; never a layer of its own
}
