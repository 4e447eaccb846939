"""The ``precision`` section: what each weighted layer reads its precision from.

A precision by name (``w8a8``) or in the long form, or a choice of such; or, with ``split: true``, the parts of a
precision as choices of their own (bits per layer; granularity, symmetry, format, scale rule, rounding and gradient of
the whole network); in either case ``except: {layer: precision}`` for layers that have another::

    precision: {choice: [float, w8a8], per: block, except: {classifier: float}}
    precision: {split: true, weights: {bits: {range: [2, 8]}}, inputs: {bits: {range: [2, 8]}}}
"""

from __future__ import annotations

from collections.abc import Collection
from collections.abc import Mapping as Dictionary
from dataclasses import dataclass, field
from itertools import product

from spaces import precision
from spaces.choice import Value
from spaces.language.fields import Option, ReadValue, among, option, take, whole
from spaces.yaml import Mapping, Mark, Node, Problems, Scalar, Section, plain

SETTINGS: Dictionary[str, Collection[str]] = {
    "granularity": ("tensor", "channel"),
    "symmetry": ("symmetric", "asymmetric", "real"),
    "format": precision.FORMS,
    "scale": precision.SCALES,
    "rounding": precision.ROUNDINGS,
    "gradient": precision.GRADIENTS,
}
"""What a precision in parts has besides bits -> its words; inputs have one scale only."""


Parts = Dictionary[str, tuple[Option, Dictionary[str, Option]]]
"""``weights`` and ``inputs`` -> (bits, per layer; settings of the whole network by name)."""


@dataclass(frozen=True)
class Precisions:
    """``option`` for layers in general, or ``parts`` of it; ``exceptions``: path of a layer -> its precision, mark."""

    option: Option
    parts: Parts | None = None
    exceptions: Dictionary[str, tuple[str, Mark]] = field(default_factory=dict)


def read_precisions(root: Section, problems: Problems) -> Precisions:
    """The ``precision`` section of a file."""
    node = root.child("precision")
    problems.asked(f"{root.where}.precision", "option")
    single = Option(("float",), None, root.mark("precision"))
    if not isinstance(node, Mapping):
        return Precisions(take(root, "precision", read_precision, "float", problems))
    own = [entry for entry in node.entries if entry[0].text != "except"]
    exceptions = _exceptions(next((v for k, v in node.entries if k.text == "except"), None), problems)
    rest = Mapping(tuple(own), node.mark)
    if any(key.text == "split" for key, _ in own):
        return Precisions(single, _parts(Section(rest, f"{root.where}.precision", problems), problems), exceptions)
    found = option(rest, f"{root.where}.precision", "precision", read_precision, problems) if own else None
    return Precisions(found or single, None, exceptions)


def _exceptions(node: Node | None, problems: Problems) -> dict[str, tuple[str, Mark]]:
    if node is None:
        return {}
    if not isinstance(node, Mapping):
        problems.add(node.mark, "except must be a mapping from layers to their precisions", "wrong-type")
        return {}
    read = ((key, read_precision(value, problems)) for key, value in node.entries)
    return {key.text: (str(name), key.mark) for key, name in read if name is not None}


def _parts(section: Section, problems: Problems) -> Parts:
    section.boolean("split", True)
    found = {}
    for role in precision.ROLES:
        inner = section.section(role)
        section.require(role)
        bits = take(inner, "bits", whole(1, 8, "bits"), 8, problems)
        settings = {}
        for name, known in SETTINGS.items():
            if inner.has(name):
                words = ("tensor",) if (role, name) == ("inputs", "granularity") else known
                settings[name] = take(inner, name, _word(words, name), "", problems)
        _possible(role, bits, settings.values(), section.mark(role), problems)
        inner.finish()
        found[role] = bits, settings
    section.finish()
    return found


def _word(known: Collection[str], noun: str) -> ReadValue:
    """Reader of a word, with a number or not."""
    named = among(known, noun)

    def read(node: Node, problems: Problems) -> Value | None:
        whole_word = isinstance(node, Scalar) and isinstance(node.value, str) and node.value
        return whole_word if whole_word and precision.parted(whole_word, known)[0] in known else named(node, problems)

    return read


def _possible(role: str, bits: Option, settings: Collection[Option], mark: Mark, problems: Problems) -> None:
    """Add the first problem among all specs that can be put together."""
    for number, *words in product(bits.values, *(setting.values for setting in settings)):
        try:
            precision.spec_of_words(precision.ROLES[role], int(number), map(str, words))
        except precision.Refused as wrong:
            said = " ".join(map(str, (number, "bits", *words)))
            problems.add(mark, f"{role} of {said}: {wrong.what}", wrong.code, wrong.hint)
            return


def read_precision(node: Node, problems: Problems) -> Value | None:
    """A precision by name (``float``, ``w8a8``, ``w4-group64/a8-token``) or in the long form, as its canonical name."""
    try:
        if isinstance(node, Mapping):
            found = precision.parse(precision.from_mapping(plain(node)))  # type: ignore[arg-type]
        elif isinstance(node, Scalar) and isinstance(node.value, str):
            found = precision.parse(node.value)
        else:
            what = "a precision is a name such as w8a8, or {weights: {bits}, inputs: {bits}}"
            raise precision.Refused(what, "unknown-name")
        for spec, role in ((found.weight, "weight"), (found.input, "input")):
            if spec is not None and (wrong := precision.refusal(spec, precision.Place(role))) is not None:
                raise wrong
    except precision.Refused as error:
        problems.add(node.mark, error.what, error.code, error.hint)
        return None
    return found.name
