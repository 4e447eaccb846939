"""The long form of a precision, as files have it: a mapping for the weights, one for the inputs.

``{weights: {bits: 4, granularity: group, group: 64, symmetric: false}, inputs: {bits: 8}}``; either may be ``float``.
Every key adds the word that a name would have, so both forms mean the same.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from spaces.precision.forms import FORMS
from spaces.precision.names import ALIASES, spec_of_words
from spaces.precision.pair import Precision
from spaces.precision.refused import Refused
from spaces.precision.spec import QuantSpec

ROLES = {"weights": "weight", "inputs": "input"}
KEYS = ("bits", "format", "granularity", "group", "gradient", "offset", "rounding", "scale", "signed", "symmetric")
_WORDS: dict[str, dict[Any, str]] = {
    "symmetric": {True: "symmetric", False: "asymmetric"},
    "signed": {True: "signed", False: "unsigned"},
    "offset": {"none": "symmetric", "integer": "asymmetric", "real": "real"},
}


def from_mapping(value: Mapping[str, Any]) -> str:
    """Canonical name of a precision in the long form. Raises :class:`Refused` naming the key that is wrong."""
    if set(value) != set(ROLES):
        raise Refused("a precision needs exactly the keys weights and inputs", "unknown-name")
    return Precision(*(_spec(key, value[key]) for key in ROLES)).name


def _spec(key: str, given: Any) -> QuantSpec | None:
    if given == "float":
        return None
    if not isinstance(given, dict):
        raise Refused(f"{key} must be float, or a mapping such as {{bits: 4}}", "unknown-name")
    if unknown := set(given) - set(KEYS):
        known = ", ".join(KEYS)
        raise Refused(f"unknown key {min(map(str, unknown))!r} in {key}; known: {known}", "unknown-name")
    bits = given.get("bits", _only_bits(given.get("format")))
    if type(bits) is not int or not 1 <= bits <= 8:
        raise Refused(f"{key} needs bits, a whole number from 1 to 8", "unknown-name")
    words = [_word(key, name, given[name]) for name in KEYS if name not in ("bits", "group") and name in given]
    size = given.get("group", "")
    if size and type(size) is not int:
        raise Refused(f"group in {key} must be a whole number", "wrong-type")
    if size or given.get("granularity") == "group":
        words = [word for word in words if word != "group"] + [f"group{size}"]
    return spec_of_words(ROLES[key], bits, words)


def _only_bits(form: object) -> int | None:
    """The bits of a format that has no choice of them."""
    form = next((word for word in ALIASES.get(str(form), ()) if word in FORMS), form)
    bits = FORMS[form].bits if isinstance(form, str) and form in FORMS else range(0)
    return bits[0] if len(bits) == 1 else None


def _word(key: str, name: str, value: Any) -> str:
    known = _WORDS.get(name)
    if known is None and isinstance(value, str):
        return value
    if known is not None and type(value) in {type(word) for word in known} and value in known:
        return known[value]
    options = "a name" if known is None else " or ".join(str(word).lower() for word in known)
    raise Refused(f"{name} in {key} must be {options}", "wrong-type")
