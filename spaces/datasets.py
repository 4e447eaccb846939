"""Shapes of the datasets that the platform knows, as data: name -> ((channels, height, width), classes)."""

from __future__ import annotations

SHAPES: dict[str, tuple[tuple[int, int, int], int]] = {
    "digits": ((1, 8, 8), 10),
    "fashion_mnist": ((1, 28, 28), 10),
}
