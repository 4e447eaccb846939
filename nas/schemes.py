"""What the ``train`` section may say of each scheme; read without loading torch."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Any

from nas.datasets import reads
from spaces import Space
from spaces.dimensions import DIMENSIONS
from spaces.fairness import NotFair, draws_needed
from spaces.yaml import Problems, Section, nearest, plain, read_text
from spaces.yaml.schema import Recorder, keys

Options = Callable[[Section], dict[str, Any]]
"""Asks a section for the keys of a scheme, with their defaults; what is wrong with them becomes a problem."""

DEFAULT = "sandwich"
_MOST = 64  # subnets in a step, far beyond use


def _subnets(section: Section, default: int, at_least: int) -> dict[str, Any]:
    return {"subnets": section.integer("subnets", default, at_least=at_least, at_most=_MOST)}


def _share(section: Section, key: str, default: float, at_most: float = 1) -> dict[str, Any]:
    return {key: section.number(key, default, at_least=0, at_most=at_most)}


def _smoothing(section: Section) -> dict[str, Any]:
    return _share(section, "smoothing", 0.05, 0.9)


def _uniform(section: Section) -> dict[str, Any]:
    return {**_subnets(section, 1, 1), **_smoothing(section)}


def _sandwich(section: Section) -> dict[str, Any]:
    return {
        **_subnets(section, 2, 0),
        **_smoothing(section),
        **_share(section, "distillation", 0.5),
        "zero_residuals": section.boolean("zero_residuals", False),
    }


def _alpha_divergence(section: Section) -> dict[str, Any]:
    return {
        **_sandwich(section),
        "alpha_minus": section.number("alpha_minus", -1.0, at_least=-4, at_most=0),
        "alpha_plus": section.number("alpha_plus", 1.0, above=0, at_most=4),
    }


def _attentive(section: Section) -> dict[str, Any]:
    return {
        **_sandwich(section),
        "candidates": section.integer("candidates", 3, at_least=2, at_most=_MOST),
        "select": section.text("select", "best_up", among=("best_up", "worst_up")),
    }


def _eqnet(section: Section) -> dict[str, Any]:
    return {
        **_subnets(section, 1, 0),
        **_smoothing(section),
        **_share(section, "distillation", 0.5),
        "guidance": section.text("guidance", "chain", among=("chain", "largest", "none")),
        **_share(section, "kurtosis", 0.015, 10),
        **_share(section, "skewness", 1.0, 10),
    }


def _mixture(section: Section) -> dict[str, Any]:
    return {
        **_sandwich(section),
        "experts": section.integer("experts", 2, at_least=1, at_most=_MOST),
        "routing": section.text("routing", "neuron", among=("layer", "neuron")),
    }


def _fair(section: Section) -> dict[str, Any]:
    return _smoothing(section)


def _progressive(section: Section) -> dict[str, Any]:
    return {
        **_subnets(section, 2, 1),
        **_smoothing(section),
        **_share(section, "distillation", 0.5),
        "phases": section.texts("phases", list(DIMENSIONS), among=DIMENSIONS),
    }


SCHEMES: dict[str, Options] = {
    "alpha_divergence": _alpha_divergence,
    "attentive": _attentive,
    "eqnet": _eqnet,
    "fair": _fair,
    "mixture": _mixture,
    "progressive": _progressive,
    "sandwich": _sandwich,
    "uniform": _uniform,
}
"""Names and options, and not the schemes themselves, which need torch. A test keeps them equal."""


def read_scheme(section: Section, problems: Problems) -> tuple[str, dict[str, Any]]:
    """The scheme that the section names, and its options."""
    name = section.text("scheme", DEFAULT, among=SCHEMES)
    written = section.child("scheme")
    if written is not None:  # of an unknown scheme check what can be checked: most likely its name is only mistyped
        name = nearest(str(plain(written)), SCHEMES) or name
    return name, SCHEMES[name](section)


def check_scheme(section: Section, name: str, space: Space, problems: Problems) -> None:
    """The scheme must be able to train the space; for one that cannot, where it is named becomes a problem."""
    if name == "fair":
        try:
            draws_needed(space)
        except NotFair as error:
            hint = "choose the scheme uniform"
            problems.add(section.mark("scheme"), f"scheme fair cannot train this space: {error}", "not-trainable", hint)
    elif name == "alpha_divergence" and space.outline.records and reads(space) == "pictures":
        what = "scheme alpha_divergence compares classes, this network makes pictures"
        problems.add(section.mark("scheme"), what, "not-trainable", "choose the scheme sandwich")


def train_schema(
    read: Callable[[Section, Problems], object], free: Collection[str]
) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """JSON schema of the section, and of a whole file for each scheme: its keys, as ``read`` asks for them."""
    variants = []
    for name in SCHEMES:
        recorder = Recorder(name)
        read(Section(read_text(f"scheme: {name}", name), "space.train", recorder), recorder)
        condition: dict[str, Any] = {"properties": {"scheme": {"const": name}}}
        chosen: dict[str, Any] = {"properties": {"train": condition}}
        if name != DEFAULT:  # that one also where none is named
            condition["required"] = ["scheme"]
            chosen["required"] = ["train"]
        variants.append({"if": chosen, "then": {"properties": {"train": keys([recorder], "space.train", free)}}})
    return {"type": "object", "properties": {"scheme": {"enum": sorted(SCHEMES)}}}, variants
