"""Which specs may be used where, as a table of rules: each says when it refuses, and why."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from spaces.precision.methods import GRADIENTS, GRANULARITIES
from spaces.precision.refused import Refused
from spaces.precision.spec import QuantSpec


@dataclass(frozen=True)
class Place:
    """Where a spec is to be used.

    ``role``: weight, input, attention (probabilities) or kv (keys, values). ``padded``: zeros stand around the tensor.
    ``sparse``: two of four weights are zero. ``ranked``: channels are sorted by their weights' size. ``inputs``: all
    numbers of input channels that the tensor may have, which groups must divide.
    """

    role: str
    padded: bool = False
    sparse: bool = False
    ranked: bool = False
    inputs: Sequence[int] = ()


@dataclass(frozen=True)
class Rule:
    """``reason`` gives the words, or ``None`` where the rule has nothing against it."""

    code: str
    reason: Callable[[QuantSpec, Place], str | None]
    hint: str


def _granularity(spec: QuantSpec, place: Place) -> str | None:
    fine = place.role in GRANULARITIES[spec.granularity]
    return None if fine else f"granularity {spec.granularity} is not for the role {place.role}"


def _unsigned(spec: QuantSpec, place: Place) -> str | None:
    plain = place.role in ("weight", "kv") and not spec.signed and spec.offset == "none"
    return f"unsigned codes without an offset lose the negative values of the role {place.role}" if plain else None


def _probabilities(spec: QuantSpec, place: Place) -> str | None:
    return "probabilities are not negative, and half of the codes would stay unused" if (
        place.role == "attention" and spec.signed and spec.format.kind == "integer"
    ) else None  # fmt: skip


def _passing(spec: QuantSpec, place: Place) -> str | None:
    """A stored scale belongs to a channel, a head or the whole tensor; that of a token or a group changes its place."""
    found = spec.learned and spec.granularity in ("token", "group")
    return f"a learned scale per {spec.granularity} has nothing to be stored for" if found else None


def _learned_rounding(spec: QuantSpec, place: Place) -> str | None:
    found = spec.rounding == "adaround" and place.role != "weight"
    return "rounding adaround learns one number per value, which only weights keep" if found else None


def _codebook(spec: QuantSpec, place: Place) -> str | None:
    found = spec.format.learned and place.role != "weight"
    return f"number format {spec.form} learns its levels, which only weights keep" if found else None


def _sparse(spec: QuantSpec, place: Place) -> str | None:
    found = place.sparse and not spec.format.has_zero
    return f"2:4 sparsity needs an exact zero, and {spec.bits} bits of {spec.form} have none" if found else None


def _padded(spec: QuantSpec, place: Place) -> str | None:
    found = place.padded and not spec.format.has_zero
    return f"zero padding needs an exact zero, and {spec.bits} bits of {spec.form} have none" if found else None


def _ranked(spec: QuantSpec, place: Place) -> str | None:
    found = place.ranked and GRADIENTS[spec.estimator[0]].periodic
    return f"gradient {spec.gradient} is periodic, so the size of a weight cannot rank channels" if found else None


def _group(spec: QuantSpec, place: Place) -> str | None:
    wrong = [n for n in place.inputs if spec.group and n % spec.group]
    return f"group size {spec.group} does not divide {wrong[0]} input channels" if wrong else None


RULES: tuple[Rule, ...] = (
    Rule("wrong-granularity", _granularity, "weight: tensor, channel, group; input: tensor, group, token"),
    Rule("wrong-sign", _unsigned, "leave 'unsigned' out, or add 'asymmetric'"),
    Rule("wrong-sign", _probabilities, "leave 'signed' out"),
    Rule("unstorable-scale", _passing, "use a computed rule such as absmax, or granularity tensor"),
    Rule("unstorable-rounding", _learned_rounding, "use nearest, stochastic or noise"),
    Rule("unstorable-levels", _codebook, "use int, or a float such as e4m3"),
    Rule("no-zero", _sparse, "use int or ternary"),
    Rule("no-zero", _padded, "use int, or a layer without padding"),
    Rule("unrankable", _ranked, "use another gradient, or do not sort channels"),
    Rule("wrong-group", _group, "choose a size that divides every width, or leave the layer out by except"),
)


def refusal(spec: QuantSpec, place: Place) -> Refused | None:
    """Why this spec may not be used in this place; ``None`` if it may."""
    for rule in RULES:
        if (reason := rule.reason(spec, place)) is not None:
            return Refused(reason, rule.code, rule.hint)
    return None


def menu(specs: Iterable[QuantSpec], place: Place) -> tuple[QuantSpec, ...]:
    """Those that may be used in this place."""
    return tuple(spec for spec in specs if refusal(spec, place) is None)
