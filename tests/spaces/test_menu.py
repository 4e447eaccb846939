"""Menus of precisions as data, and the sub-spaces that they leave."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from spaces import Architecture, Record, Space
from spaces.layers import Chosen
from spaces.menu import FORMS, OPERATORS, SCHEMA, Menu, NotAMenu
from spaces.precision import parse
from spaces.randomness import generator
from spaces.restrict import NothingLeft
from tests.examples import PLAIN, convnets, space_of

PRECISIONS = ("float", "w8a8", "w4a8", "w3a8")
SPACES = convnets(PRECISIONS)
CPU = Menu("onnxruntime", "onnxruntime", {o: {"float": "real", "w8a8": "real", "w4a8": "container"} for o in OPERATORS})


@st.composite
def menus(draw: st.DrawFn) -> Menu:
    """Any form for each operator and precision, some of them not said; any forms kept, real ones always."""
    forms = {o: {p: draw(st.sampled_from(FORMS)) for p in PRECISIONS if draw(st.booleans())} for o in OPERATORS}
    return Menu("drawn", "drawn", forms).keeping(draw(st.booleans()), draw(st.booleans()))


def restricted(space: Space, menu: Menu) -> Space:
    """The sub-space; menus that leave none are another test's."""
    try:
        return space.restrict(menu)
    except NothingLeft:
        assume(False)
        raise


def chosen_by(space: Space) -> dict[str, list[Record]]:
    """Choice of precision -> the layers that read it."""
    readers: dict[str, list[Record]] = {}
    for r in space.outline.records:
        if isinstance(r.precision, Chosen):
            readers.setdefault(r.precision.name, []).append(r)
    return readers


def on(menu: Menu, space: Space, architecture: Architecture) -> bool:
    """Whether every chosen precision is allowed for all layers that share it."""
    readers = chosen_by(space)
    return all(menu.allows(r, str(v)) for name, v in architecture.items() for r in readers.get(name, ()))


@settings(deadline=None, max_examples=60)
@given(SPACES, menus(), st.integers(0, 2**32))
def test_samples_are_legal_in_the_full_space_and_use_the_menu_only(space: Space, menu: Menu, seed: int) -> None:
    """Same keys, same costs, same layers; moves stay inside."""
    small = restricted(space, menu)
    drawn = small.sample_many(8, generator(seed, "test"))
    full = space.batch(list(drawn))
    assert [a.key for a in full] == [a.key for a in drawn]
    assert [space.architecture(a) for a in drawn] == list(drawn)
    for name, column in small.cost(drawn).items():
        assert np.array_equal(column, space.cost(full)[name])
    moved = [small.mutate(a, generator(seed, "move")) for a in drawn]
    assert all(on(menu, space, a) for a in [*drawn, *moved])


@settings(deadline=None, max_examples=40)
@given(SPACES, menus())
def test_nothing_that_the_menu_allows_is_lost(space: Space, menu: Menu) -> None:
    """The restricted space has exactly the architectures that are on it: its size is their number."""
    assume(space.size <= 3000)
    small = restricted(space, menu)
    wanted = {a.key for a in space.enumerate() if on(menu, space, a)}
    assert {a.key for a in small.enumerate()} == wanted
    assert small.size == len(wanted)


@settings(deadline=None, max_examples=40)
@given(SPACES, menus())
def test_restricting_twice_is_restricting_once_and_a_full_menu_changes_nothing(space: Space, menu: Menu) -> None:
    """The very same object then, so that what was stored for it is found again."""
    small = restricted(space, menu)
    assert small.restrict(menu) is small
    for c in small.choices:
        before = space.choices[space.column[c.name]]
        assert c.values == tuple(v for v in before.values if v in c.values)
    assert [c.name for c in small.choices] == [c.name for c in space.choices if c.name in small.column]
    assert (small.outline, small.notation, small.name) == (space.outline, space.notation, space.name)
    everything = Menu("all", "all", dict.fromkeys(OPERATORS, dict.fromkeys(PRECISIONS, "real")))
    assert space.restrict(everything) is space
    assert space.restrict(menu.keeping(size=True, simulated=True)) is space


def test_containers_are_kept_where_size_counts_and_simulated_ones_where_they_are_asked_for() -> None:
    """The forms are independent of each other."""
    space = space_of(PLAIN.replace("w4a8]", "w4a8, w3a8]"))
    sizes = {
        (size, simulated): space.restrict(CPU.keeping(size, simulated)).choices[-1].values
        for size in (False, True)
        for simulated in (False, True)
    }
    assert sizes == {
        (False, False): ("float", "w8a8"),
        (True, False): ("float", "w8a8", "w4a8"),
        (False, True): ("float", "w8a8", "w3a8"),
        (True, True): ("float", "w8a8", "w4a8", "w3a8"),
    }


def test_operators_are_told_apart() -> None:
    """Depthwise and 1x1 convolutions, others, linear layers: each by its own line of the menu."""
    space = space_of(
        "model: {family: graph, layers: [{name: a, conv: 8}, {name: b, depthwise: {kernel: {choice: [3, 5]}}}, "
        "{name: c, conv: {out: 8, kernel: 1}}, {name: d, conv: {out: 8, kernel: {choice: [1, 3]}}}, pool, "
        "{name: e, linear: 10}]}\nprecision: {choice: [float, w8a8, w8-tensor/a8], per: layer}\n"
    )
    for operator, paths in zip(OPERATORS, ("ad", "c", "b", "e"), strict=True):
        forms = {o: {"float": "real", "w8a8": "real" if o == operator else "simulated"} for o in OPERATORS}
        small = space.restrict(Menu("m", "m", forms))
        chosen = {c.name.split(".")[-2] for c in small.choices if "w8a8" in c.values and "w8-tensor/a8" in c.values}
        assert chosen == set(paths)


@pytest.mark.parametrize(
    ("precision", "menu", "message"),
    [
        (
            "{choice: [w4a8, w3a8], per: layer}",
            CPU,
            "layer stages.0.0.conv: none of the precisions of stages.0.0.conv.precision is left on the menu of "
            "onnxruntime: w4a8 is a container, w3a8 is simulated [no-precision]\n"
            "  hint: add a real precision (float, w8a8), or size_bytes to search.objectives",
        ),
        (
            "{choice: [w3a8, w2a8], per: network}",
            CPU,
            "layer stages.0.0.conv and 4 others: none of the precisions of precision is left on the menu of "
            "onnxruntime: w3a8 is simulated, w2a8 is simulated [no-precision]\n"
            "  hint: add a real precision (float, w8a8), or one that files can hold with device: {simulated: true}",
        ),
        (
            "w3a8",
            CPU,
            "layer stages.0.0.conv: w3a8 is simulated on the menu of onnxruntime [no-precision]\n"
            "  hint: add a real precision (float, w8a8), or one that files can hold with device: {simulated: true}",
        ),
    ],
)  # fmt: skip
def test_a_layer_that_keeps_no_precision_is_named_with_menu_and_fix(precision: str, menu: Menu, message: str) -> None:
    text = PLAIN.replace("{choice: [float, w8a8, w4a8], per: layer}", precision)
    with pytest.raises(NothingLeft, match=rf"\A{re.escape(message)}\Z"):
        space_of(text).restrict(menu)


def test_what_is_no_choice_may_be_a_container() -> None:
    """Someone wrote it down for this layer; nothing else could be chosen."""
    space = space_of(PLAIN.replace("{choice: [float, w8a8, w4a8], per: layer}", "w4a8"))
    assert space.restrict(CPU) is space


def rows(**changed: Any) -> list[dict[str, Any]]:
    """One row of each operator, the first of them changed."""
    made: list[dict[str, Any]] = [{"operator": o, "precision": "float", "form": "real"} for o in OPERATORS]
    made[0].update(changed)
    return made


def written(menu: Any, **changed: Any) -> Mapping[str, Any]:
    """A menu as it is in a file."""
    return {"schema": SCHEMA, "device": {"backend": "onnxruntime"}, "menu": menu, **changed}


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ([], "m.json: not a 'precision menu 1', as nas devices --out writes it"),
        (written(rows(), schema="2"), "m.json: not a 'precision menu 1', as nas devices --out writes it"),
        (written({}), "m.json: not a 'precision menu 1', as nas devices --out writes it"),
        (written(rows(), device={}), "m.json: no text at device.backend"),
        (written([*rows(), 3]), "m.json: menu.4: a row must be a mapping"),
        (
            written(rows(form=None, precision=8)),
            "m.json: menu.0: no text at 'precision'; m.json: menu.0: no text at 'form'",
        ),
        (written(rows(form="reel")), "m.json: menu.0.form: unknown 'reel'; did you mean 'real'?"),
        (
            written(rows(operator="matmul", form="container")),
            "m.json: menu.0.operator: unknown 'matmul'; known: conv 3x3, conv 1x1, conv 3x3 depthwise, linear",
        ),
        (written([*rows(), rows()[1]]), "m.json: menu.4: 'conv 1x1' in 'float' stands twice"),
        (written(rows()[1:]), "m.json: no row of operator 'conv 3x3'"),
        (
            written(rows(precision="w9a8")),
            "m.json: menu.0.precision: unknown precision 'w9a8': write float, or w<bits>a<bits> such as w8a8",
        ),
    ],
)  # fmt: skip
def test_a_damaged_menu_is_refused_with_every_problem_and_its_place(data: Any, message: str) -> None:
    with pytest.raises(NotAMenu, match=rf"\A{re.escape(message)}\Z"):
        Menu.from_json(data, "m.json")


@settings(max_examples=30)
@given(menus())
def test_a_menu_is_read_as_it_was_written(menu: Menu) -> None:
    assume(all(menu.forms.values()))
    read = Menu.from_json(menu.to_json(), "m.json")
    assert (read.backend, read.forms) == (menu.backend, menu.forms)
    assert {parse(p).name for forms in read.forms.values() for p in forms} <= set(PRECISIONS)
