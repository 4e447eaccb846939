"""Training schemes by name, one file each."""

from __future__ import annotations

from supernets.training.schemes.base import Lessons, NotTrainable, Scheme, Setting
from supernets.training.schemes.sandwich import Sandwich
from supernets.training.schemes.uniform import Uniform

SCHEMES: dict[str, type[Lessons]] = {
    "sandwich": Sandwich,
    "uniform": Uniform,
}
"""Name in ``train.scheme`` -> class made from a :class:`Setting` and its options by keyword."""

__all__ = ["SCHEMES", "Lessons", "NotTrainable", "Scheme", "Setting"]
