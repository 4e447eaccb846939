"""What may be chosen of a wrapped model: shares of widths and depths, precisions, and widths of single layers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from spaces import precision as precisions
from spaces.yaml import nearest
from supernets.wrapping.errors import NotWrappable, wrong

_EIGHT = 64  # from here on widths are multiples of 8, as kernels like them


@dataclass(frozen=True)
class Options:
    """``width`` and ``depth``: shares from 0 to 1 of what the model has; none to keep all.

    ``precision``: values for every convolution and linear layer. ``layers``: path of a layer -> its output channels,
    as lists of whole numbers. ``reorder``: sort channels by importance, so that prefixes keep what matters.
    """

    width: tuple[float, ...] = (0.25, 0.5, 0.75, 1.0)
    depth: tuple[float, ...] = (0.5, 0.75, 1.0)
    precision: tuple[str, ...] = ("float", "w8a8")
    layers: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    reorder: bool = False

    @classmethod
    def read(cls, written: Mapping[str, Any] | Options | None) -> Options:
        """From a mapping of these names. Raises :class:`NotWrappable` for what it does not know."""
        if isinstance(written, Options):
            return written
        given = dict(written or {})
        known = list(cls.__dataclass_fields__)
        for key in given:
            if key not in known:
                guess = nearest(str(key), known)
                hint = f"did you mean '{guess}'?" if guess else f"choices have: {', '.join(known)}"
                raise NotWrappable(f"unknown key '{key}' in choices", "unknown-key", hint)
        layers = {str(path): tuple(_listed(f"layers.{path}", v)) for path, v in dict(given.get("layers", {})).items()}
        return cls(
            _shares("width", given.get("width", cls.width)),
            _shares("depth", given.get("depth", cls.depth)),
            _precisions(given.get("precision", cls.precision)),
            layers,
            bool(given.get("reorder", False)),
        )

    def of(self, size: int, shares: Sequence[float], plain: bool) -> tuple[int, ...]:
        """So many of ``size``, the largest last; ``plain`` channels are whole eights where there are many."""
        step = 8 if plain and size >= _EIGHT and size % 8 == 0 else 1
        found = {max(step, int(size * share / step + 0.5) * step) for share in shares}
        return tuple(sorted({n for n in found if n < size} | {size}))


def _listed(what: str, value: Any) -> list[int]:
    items = list(value) if isinstance(value, list | tuple) else [value]
    if not items or any(type(n) is not int or n < 1 for n in items):
        raise NotWrappable(f"choices: {what} must be whole numbers from 1, got {value!r}", "wrong-type")
    return sorted(set(items))


def _shares(what: str, value: Any) -> tuple[float, ...]:
    items = list(value) if isinstance(value, list | tuple) else [value]
    if any(isinstance(x, bool) or not isinstance(x, int | float) or not 0 < x <= 1 for x in items):
        raise NotWrappable(f"choices: {what} must be shares above 0, up to 1, got {value!r}", "wrong-type")
    return tuple(sorted({float(x) for x in items}))


def _precisions(value: Any) -> tuple[str, ...]:
    items = [value] if isinstance(value, str) else list(value)
    for text in items:
        try:
            found = precisions.parse(str(text))
        except precisions.Refused as error:
            raise NotWrappable(f"choices: precision {text!r}: {error.what}", error.code, error.hint) from None
        for role, spec in (("weight", found.weight), ("input", found.input)):
            refused = None if spec is None else precisions.refusal(spec, precisions.Place(role, padded=role == "input"))
            if refused is not None:
                raise NotWrappable(f"choices: precision {text!r}: {refused.what}", refused.code, refused.hint)
    return tuple(dict.fromkeys(items)) or ("float",)


def too_wide(path: str, width: int, most: int) -> NotWrappable:
    """A choice larger than the layer."""
    return wrong(path, f"{width} channels are more than the {most} that it has", "too-wide", f"write up to {most}")
