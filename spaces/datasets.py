"""Shapes of the datasets that the platform knows, as data."""

from __future__ import annotations

SHAPES: dict[str, tuple[tuple[int, int, int], int]] = {
    "cifar10": ((3, 32, 32), 10),
    "digits": ((1, 8, 8), 10),
    "fashion_mnist": ((1, 28, 28), 10),
}
"""Name -> ((channels, height, width), classes) of a dataset that has one shape."""

ANY_SHAPE = ("huggingface", "images", "super_resolution", "text")
"""Names of those that give what the network reads."""
