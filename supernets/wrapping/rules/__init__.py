"""What each operation does to axes: one rule per operation of torch."""

from __future__ import annotations

from collections.abc import Mapping

from supernets.wrapping.rules import elements, layers, products, shapes
from supernets.wrapping.walk import Rule

RULES: Mapping[str, Rule] = {**elements.RULES, **layers.RULES, **products.RULES, **shapes.RULES}
"""Name without namespace and overload -> rule."""

__all__ = ["RULES"]
