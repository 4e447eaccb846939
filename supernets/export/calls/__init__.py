"""ONNX forms of torch's operations in traced networks: a function each, by the name in ``aten.name.overload``."""

from collections.abc import Mapping

from supernets.export.calls import elements, products, reductions, shapes
from supernets.export.calls.elements import Emit
from supernets.export.calls.site import NotExportable, Operand, Site

CALLS: Mapping[str, Emit] = {**elements.CALLS, **products.CALLS, **reductions.CALLS, **shapes.CALLS}
FOLDED = frozenset(
    ("sym_size", "arange", "eye", "linspace", "zeros", "ones", "full", "empty", "zeros_like", "ones_like", "full_like",
     "empty_like", "new_zeros", "new_ones", "new_full", "new_empty", "number_add", "number_mul", "number_sub",
     "number_floordiv")
)  # fmt: skip
"""Operations that depend on the shapes of what they read, not on values: a file of a fixed batch holds the result."""

__all__ = ["CALLS", "FOLDED", "Emit", "NotExportable", "Operand", "Site"]
