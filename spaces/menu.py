"""What a device does with precisions, as data: the menu that ``nas devices`` writes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from spaces import precision
from spaces.layers import IN, Layer, Record
from spaces.precision import Precision
from spaces.yaml.errors import clipped, nearest

SCHEMA = "precision menu 1"
OPERATORS = ("conv 3x3", "conv 1x1", "conv 3x3 depthwise", "linear")
FORMS = ("real", "container", "simulated")
_KEYS = ("operator", "precision", "form")


class NotAMenu(ValueError):
    """Data that is no menu; the message has every problem, each with its place."""


@dataclass(frozen=True)
class Menu:
    """``forms``: operator -> precision -> ``real`` (a kernel of its own), ``container`` (stored small, run as another),
    or ``simulated``, as what is not there is. ``name``: as messages call it; ``keeps``: the forms that may be chosen.
    """

    name: str
    backend: str
    forms: Mapping[str, Mapping[str, str]]
    keeps: frozenset[str] = frozenset({"real"})

    def keeping(self, size: bool, simulated: bool) -> Menu:
        """The same where containers may be chosen if ``size`` counts, and simulated precisions if asked for."""
        wanted = {"real": True, "container": size, "simulated": simulated}
        return replace(self, keeps=frozenset(form for form, kept in wanted.items() if kept))

    def form(self, r: Record, given: Precision) -> str:
        """Of a layer with weights in this precision."""
        return self.forms[operator_of(r)].get(given.kernel, "simulated")

    def allows(self, r: Record, name: str) -> bool:
        """Whether the layer may be given the precision of this name."""
        return self.form(r, precision.parse(name)) in self.keeps

    def to_json(self) -> dict[str, Any]:
        """Plain data; :meth:`from_json` reads it back, but for ``name`` and ``keeps``."""
        rows = [dict(zip(_KEYS, (o, p, f), strict=True)) for o, forms in self.forms.items() for p, f in forms.items()]
        return {"schema": SCHEMA, "device": {"backend": self.backend}, "menu": rows}

    @classmethod
    def from_json(cls, data: Any, source: str) -> Menu:
        """What ``nas devices --out`` writes: the device's backend, and operator, precision and form of each row.

        Raises :class:`NotAMenu` with every problem: ``source``, row and key.
        """
        if not isinstance(data, dict) or data.get("schema") != SCHEMA or not isinstance(data.get("menu"), list):
            raise NotAMenu(f"{source}: not a '{SCHEMA}', as nas devices --out writes it")
        device = data.get("device")
        backend = device.get("backend") if isinstance(device, dict) else None
        problems = [] if isinstance(backend, str) else [f"{source}: no text at device.backend"]
        forms: dict[str, dict[str, str]] = {operator: {} for operator in OPERATORS}
        for i, row in enumerate(data["menu"]):
            wrong = _wrong(row, forms)
            problems += [f"{source}: menu.{i}{what}" for what in wrong]
            if not wrong:
                forms[row["operator"]][row["precision"]] = row["form"]
        if not problems:
            problems = [f"{source}: no row of operator '{name}'" for name, known in forms.items() if not known]
        if problems:
            raise NotAMenu("; ".join(problems))
        return cls(source, str(backend), forms)


def operator_of(r: Record | Layer) -> str:
    """The operator of a menu that stands for a layer with weights, whatever its choices make of it."""
    if r.kind == "linear":
        return "linear"
    if r.groups == IN or (isinstance(r, Layer) and 1 < r.groups == r.c_in):
        return "conv 3x3 depthwise"
    return "conv 1x1" if r.kernel == 1 and r.call is None else "conv 3x3"


def _wrong(row: Any, forms: Mapping[str, Mapping[str, str]]) -> list[str]:
    """What is wrong with a row, after its place."""
    if not isinstance(row, dict):
        return [": a row must be a mapping"]
    if absent := [key for key in _KEYS if not isinstance(row.get(key), str)]:
        return [f": no text at '{key}'" for key in absent]
    found = []
    for key, known in (("operator", OPERATORS), ("form", FORMS)):
        if row[key] not in known:
            near = nearest(row[key], known)
            hint = f"; did you mean '{near}'?" if near else f"; known: {', '.join(known)}"
            found.append(f".{key}: unknown {clipped(row[key], 60)!r}{hint}")
    try:
        precision.parse(row["precision"])
    except precision.Refused as error:
        found.append(f".precision: {error.what}")
    if not found and row["precision"] in forms[row["operator"]]:
        found.append(f": '{row['operator']}' in '{row['precision']}' stands twice")
    return found
