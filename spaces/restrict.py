"""The sub-space that a device's menu of precisions leaves."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace

from spaces import precision
from spaces.choice import Choice, Condition, Value, same
from spaces.layers import WEIGHTED, Chosen, Record, Split
from spaces.menu import FORMS, Menu, operator_of
from spaces.resolve import precisions_of
from spaces.yaml.errors import clipped, nearest

_HINTS = {
    "container": "add a real precision{names}, or size_bytes to search.objectives",
    "simulated": "add a real precision{names}, or one that files can hold with device: {{simulated: true}}",
}


class NothingLeft(ValueError):
    """A layer whose every precision the menu forbids; the message names layer, menu and fix."""


def restricted(
    choices: Sequence[Choice], records: Sequence[Record], menu: Menu | Collection[str]
) -> tuple[Choice, ...]:
    """The choices, in order, with the precisions that the menu allows, or with these names; a choice that nothing is
    left to make present goes.

    Raises :class:`NothingLeft` for a layer, or a choice, that would keep none, and ``ValueError`` for what is no name.
    """
    if not isinstance(menu, Menu):
        menu = _names(choices, records, menu)
    readers: dict[str, list[Record]] = {}
    for r in records:
        if isinstance(r.precision, Chosen):
            readers.setdefault(r.precision.name, []).append(r)
    allows: Callable[[Record, str], bool] = menu.allows if isinstance(menu, Menu) else lambda _, name: name in menu

    def left(c: Choice) -> tuple[Value, ...]:
        read = readers.get(c.name, [])
        values = tuple(v for v in c.values if all(allows(r, str(v)) for r in read))
        if not values:
            raise NothingLeft(_nothing(c, read, menu))
        return values

    if isinstance(menu, Menu) and "simulated" not in menu.keeps:
        _check(records, {c.name: c.values for c in choices}, menu)
    return narrowed(choices, left)


def narrowed(choices: Sequence[Choice], left: Callable[[Choice], tuple[Value, ...]]) -> tuple[Choice, ...]:
    """The choices, in order, with the values that are ``left``; one that nothing is left to make present goes."""
    kept: dict[str, Choice] = {}
    for c in choices:
        when = tuple(Condition(w.name, _left(w, kept)) for w in c.when)
        if all(w.values for w in when):
            kept[c.name] = replace(c, values=left(c), when=when)
    return tuple(kept.values())


def _names(choices: Sequence[Choice], records: Sequence[Record], given: Collection[str]) -> frozenset[str]:
    """The precisions of these names; layers whose precisions are chosen in parts have no others."""
    if isinstance(given, str):
        what = f"the precisions to keep must be a set of names, not the text '{given}' [wrong-type]"
        raise ValueError(f"{what}\n  hint: write {{'{given}'}}")
    values = {c.name: c.values for c in choices}
    known = {r.path: [p.name for p in precisions_of(r.precision, values)] for r in records if r.kind in WEIGHTED}
    for name in given:
        try:
            precision.parse(name)
        except precision.Refused as error:
            near = nearest(name, {n for names in known.values() for n in names})
            hint = f"did you mean '{near}'?" if near else error.hint
            raise precision.Refused(error.what, error.code, hint) from error
    kept = frozenset(precision.parse(name).name for name in given)
    for r in records:
        if r.kind in WEIGHTED and isinstance(r.precision, Split) and not kept.issuperset(known[r.path]):
            what = f"layer {r.path}: its precision is chosen in parts, of which names leave out none [no-precision]"
            raise NothingLeft(f"{what}\n  hint: give the bits fewer values in the file")
    return kept


def _left(condition: Condition, kept: Mapping[str, Choice]) -> tuple[Value, ...]:
    """The values of a condition that its choice still has."""
    if condition.name not in kept:
        return ()
    return tuple(v for v in condition.values if any(same(v, known) for known in kept[condition.name].values))


def _check(records: Sequence[Record], values: Mapping[str, Sequence[Value]], menu: Menu) -> None:
    """Refuse simulated precisions that are no choice of their own. A container there is what was asked for."""
    for r in records:
        if r.kind not in WEIGHTED or isinstance(r.precision, Chosen):
            continue
        simulated = [p.name for p in precisions_of(r.precision, values) if menu.form(r, p) == "simulated"]
        if simulated:
            which = f"the pair {simulated[0]} of its bits" if isinstance(r.precision, Split) else simulated[0]
            what = f"layer {r.path}: {which} is simulated on the menu of {menu.name}"
            raise NothingLeft(f"{what} [no-precision]\n  hint: {_hint('simulated', [r], menu)}")


def _nothing(c: Choice, read: Sequence[Record], menu: Menu | Collection[str]) -> str:
    """Which layers, what the menu says of their precisions, and what to do."""
    if not isinstance(menu, Menu):
        asked = ", ".join(sorted(menu)) or "no precision"
        values = ", ".join(map(str, c.values))
        return f"choice {c.name}: none of its precisions {values} is among those to keep: {asked} [no-precision]"
    forms = {v: max((menu.form(r, precision.parse(str(v))) for r in read), key=FORMS.index) for v in c.values}
    layers = f"layer {read[0].path}" + (f" and {len(read) - 1} others" if len(read) > 1 else "")
    said = ", ".join(f"{v} is a container" if form == "container" else f"{v} is {form}" for v, form in forms.items())
    what = f"{layers}: none of the precisions of {c.name} is left on the menu of {menu.name}: {said}"
    return f"{what} [no-precision]\n  hint: {_hint(min(forms.values(), key=FORMS.index), read, menu)}"


def _hint(form: str, read: Sequence[Record], menu: Menu) -> str:
    """What to do, with the precisions that are real for each of the layers."""
    real = (name for name, kind in menu.forms[operator_of(read[0])].items() if kind == "real")
    shared = [name for name in real if all(menu.form(r, precision.parse(name)) == "real" for r in read)]
    return _HINTS[form].format(names=f" ({clipped(', '.join(shared), 80)})" if shared else "")
