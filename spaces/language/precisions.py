"""Precisions as they are written: by name, or in the long form."""

from __future__ import annotations

from spaces import precision
from spaces.choice import Value
from spaces.yaml import Mapping, Node, Problems, Scalar, plain


def read_precision(node: Node, problems: Problems) -> Value | None:
    """A precision by name (``float``, ``w8a8``) or in the long form, as its canonical name."""
    try:
        if isinstance(node, Mapping):
            name = precision.from_mapping(plain(node))  # type: ignore[arg-type]
        elif isinstance(node, Scalar) and isinstance(node.value, str):
            name = precision.parse(node.value).name
        else:
            raise ValueError("a precision is a name such as w8a8, or {weights: {bits}, inputs: {bits}}")
    except ValueError as error:
        problems.add(node.mark, str(error), "unknown-name")
        return None
    if not precision.legal(name, "conv"):
        menu = ", ".join(sorted(precision.LEGAL["conv"]))
        problems.add(
            node.mark, f"precision {name} is not legal for a conv layer", "illegal-precision", f"legal: {menu}"
        )
        return None
    return name
