"""Canonical names of specs, both ways: ``w4-group64``, ``a8-token-absmax``, ``w4-e2m1-group32-mx``.

A name is the letter of a role, bits, and the words that differ from the role's defaults, joined by hyphens, in the
order of :data:`FIELDS`. Every word belongs to one field, so they are understood in any order.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from functools import cache
from typing import Any

from spaces.precision.forms import FORMS
from spaces.precision.methods import GRADIENTS, GRANULARITIES, ROUNDINGS, SCALES
from spaces.precision.refused import Refused, parted, unknown
from spaces.precision.spec import QuantSpec

LETTERS = {"weight": "w", "input": "a", "attention": "p", "kv": "k"}
"""Role -> first letter of a name. ``attention`` are the probabilities, ``kv`` keys and values."""

_SIGNS = {"signed": True, "unsigned": False}
_OFFSETS = {"symmetric": "none", "asymmetric": "integer", "real": "real"}
FIELDS: dict[str, Iterable[str]] = {
    "form": FORMS,
    "offset": _OFFSETS,
    "granularity": GRANULARITIES,
    "scale": SCALES,
    "rounding": ROUNDINGS,
    "gradient": GRADIENTS,
    "signed": _SIGNS,
}
_FIELD_OF = {word: field for field, words in FIELDS.items() for word in words}

ALIASES: dict[str, tuple[str, ...]] = {
    "mxfp4": ("e2m1", "group32", "mx"),
    "mxfp6": ("e3m2", "group32", "mx"),
    "mxfp8": ("e4m3", "group32", "mx"),
    "nvfp4": ("e2m1", "group16", "nv"),
}
"""Words that stand for several. Names are written without them."""


@cache
def name_of(spec: QuantSpec, role: str) -> str:
    """Canonical name of a spec in this role: all its words, but for those without which it means the same."""
    first = f"{LETTERS[role]}{spec.bits}"
    words = [spec.form, _word(_OFFSETS, spec.offset), f"{spec.granularity}{spec.group or ''}", spec.scale]
    words += [spec.rounding, spec.gradient, _word(_SIGNS, spec.signed)]
    for word in reversed(words):
        fewer = [other for other in words if other != word]
        if _means("-".join([first, *fewer]), role, spec):
            words = fewer
    return "-".join([first, *words])


def _means(name: str, role: str, spec: QuantSpec) -> bool:
    try:
        return spec_of(name, role) == spec
    except Refused:
        return False


def _word(words: Mapping[str, Any], value: Any) -> str:
    return next(word for word, meaning in words.items() if meaning == value)


@cache
def spec_of(name: str, role: str) -> QuantSpec:
    """The spec of a name in this role. Raises :class:`Refused` for a name that says nothing, or the impossible."""
    first, *words = name.split("-")
    match = re.fullmatch(LETTERS[role] + "([1-8])", first)
    if match is None:
        raise Refused(f"{name!r} does not start with {LETTERS[role]} and bits from 1 to 8", "unknown-name")
    given: dict[str, Any] = {}
    for word in [part for written in words for part in ALIASES.get(written, (written,))]:
        field, value = _meaning(word)
        if field in given:
            raise Refused(f"{name!r} says its {field} twice, as {given[field]!r} and {value!r}", "said-twice")
        if field == "granularity":
            value, size = parted(word, GRANULARITIES)
            given["group"] = 0 if size is None else int(size)
        given[field] = value
    return QuantSpec(**_defaults(role, int(match[1]), given) | given)


def spec_of_words(role: str, bits: int, words: Iterable[str]) -> QuantSpec:
    """The spec of these bits and words; empty ones say nothing. Raises :class:`Refused` as :func:`spec_of`."""
    return spec_of("-".join([f"{LETTERS[role]}{bits}", *filter(None, words)]), role)


def _meaning(word: str) -> tuple[str, Any]:
    """(field, value) of a word."""
    field = _FIELD_OF.get(word) or _FIELD_OF.get(parted(word, _FIELD_OF)[0])
    if field is None:
        raise unknown(word, "word", [*_FIELD_OF, *ALIASES])
    if field == "signed":
        return field, _SIGNS[word]
    return field, _OFFSETS[word] if field == "offset" else word


def _defaults(role: str, bits: int, given: Mapping[str, Any]) -> dict[str, Any]:
    """What a name leaves out. Codes of what has an offset are unsigned, and so are inputs, which have one unless they
    are said to be symmetric, or their scale rule is. One bit with a sign is binary: as an integer it could only be 0.
    """
    rule = SCALES.get(parted(given.get("scale", "adaptive"), SCALES)[0], SCALES["adaptive"])
    both = role in ("input", "attention")
    symmetric = given.get("offset", "integer" if rule.asymmetric and (both or not rule.symmetric) else "none") == "none"
    other = given.get("form", "int") != "int"
    signed = given.get("signed", other or (symmetric and role != "attention"))
    form = given.get("form", "binary" if bits == 1 and signed else "int")
    return {"bits": bits, "signed": signed, "form": form, "granularity": "channel" if role == "weight" else "tensor"}
