"""Numbers of channels that integer kernels like, by backend: data; and which layers of a space have others."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from spaces import Space
from spaces.randomness import generator

MULTIPLES: Mapping[str, Mapping[str, int]] = {"onnxruntime": {"conv": 4, "depthwise conv": 16}}
"""Backend -> kind of layer -> what its channels should be a multiple of, in 8 bits.

On a CPU with VNNI a 1x1 convolution of 63 channels took 2.2 times as long as one of 64, a depthwise one of 100
channels 3.6 times as long as one of 96 (28x28; this project's reference on kernels, section 3).
"""
_DRAWN = 500


@dataclass(frozen=True)
class Uneven:
    """A layer that may run on an integer kernel with these ``channels``, no multiples of ``multiple``."""

    path: str
    kind: str
    channels: tuple[int, ...]
    multiple: int

    def __str__(self) -> str:
        return (
            f"{self.path}: {', '.join(map(str, self.channels))} ({self.kind}: multiples of {self.multiple} are faster)"
        )


def uneven(space: Space, backend: str) -> list[Uneven]:
    """Layers of drawn architectures whose integer kernels would be faster with another number of channels.

    None for a backend of which nothing is known.
    """
    multiples = MULTIPLES.get(backend, {})
    if not space.outline.records or not multiples:
        return []
    rng = generator(0, "latency.rounding")
    found = []
    for c in space.outline.table(space.sample_many(_DRAWN, rng, by_choice=True)):
        depthwise = (c.groups > 1) & (c.groups == c.c_in)
        for kind, where in (("conv", ~depthwise), ("depthwise conv", depthwise)):
            if c.record.kind != "conv" or kind not in multiples:
                continue
            channels = np.unique(c.c_out[c.exists & c.runs8 & where])
            off = tuple(channels[channels % multiples[kind] != 0].tolist())
            found += [Uneven(c.record.path, kind, off, multiples[kind])] if off else []
    return found
