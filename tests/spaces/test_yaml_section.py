"""A mapping taken apart: values, defaults, and every problem with its exact message."""

from __future__ import annotations

import re
import time
from collections.abc import Callable

import pytest

from spaces.yaml import Mark, Node, Problems, Section, SpecError, describe, plain, read_text


def opened(text: str) -> tuple[Section, Problems]:
    """The section of a text as ``space``, and where its problems go."""
    problems = Problems("space.yaml")
    return Section(read_text(text, "space.yaml"), "space", problems), problems


def check(problems: Problems, *expected: str) -> None:
    """Exactly these problems were noted, with exactly these messages."""
    count = f"{len(expected)} problem{'' if len(expected) == 1 else 's'}; nothing was written"
    message = "\n".join([*(f"space.yaml:{p}" for p in expected), count])
    with pytest.raises(SpecError, match=rf"\A{re.escape(message)}\Z"):
        problems.raise_if_any()


def test_right_values_are_returned_with_their_types_and_nothing_is_noted() -> None:
    section, problems = opened("a: 3\nb: 0.5\nc: 7\nd: text\ne: true\nf: [x, y]\ng: {h: 1}\n")
    assert section.integer("a", 0, at_least=3, at_most=3) == 3
    assert section.number("b", 1.0, above=0, at_most=0.5) == 0.5
    seven = section.number("c", None, at_least=7)
    assert (seven, type(seven)) == (7.0, float)
    assert section.text("d", None) == "text"
    assert section.text("d", "other", among=("text", "other")) == "text"
    assert section.boolean("e", False) is True
    assert section.texts("f", None, among={"x", "y", "z"}) == ["x", "y"]
    assert section.section("g").integer("h", None) == 1
    section.finish()
    problems.raise_if_any()


def test_absent_keys_give_the_default_unchecked() -> None:
    section, problems = opened("{}")
    assert section.integer("a", None, at_least=1) is None
    assert section.integer("a", 0, at_least=1) == 0
    assert section.number("a", 1.5) == 1.5
    assert section.text("a", None, among=[]) is None
    assert section.texts("a", ["x"]) == ["x"]
    assert section.boolean("a", None) is None
    assert section.child("a") is None
    assert not section.has("a")
    problems.raise_if_any()


GETTERS: dict[str, tuple[Callable[[Section], object], str]] = {
    "integer": (lambda s: s.integer("a", -1), "a whole number"),
    "number": (lambda s: s.number("a", -1), "a number"),
    "text": (lambda s: s.text("a", -1), "text"),
    "texts": (lambda s: s.texts("a", -1), "a list of texts"),
    "boolean": (lambda s: s.boolean("a", -1), "true or false"),
}
NODES = {
    "": "empty",
    "true": "true",
    "'3'": "text '3'",
    "three": "text 'three'",
    "3": "number 3",
    "1.5": "number 1.5",
    "[1]": "a list",
    "{b: 1}": "a mapping",
}
RIGHT = {("integer", "3"), ("number", "3"), ("number", "1.5"), ("text", "'3'"), ("text", "three"), ("boolean", "true")}


@pytest.mark.parametrize("value", [v for v in NODES if v != "[1]"])
@pytest.mark.parametrize("getter", GETTERS)
def test_every_getter_refuses_every_other_kind_and_gives_the_default(getter: str, value: str) -> None:
    section, problems = opened(f"a: {value}\n")
    get, wanted = GETTERS[getter]
    result = get(section)
    if (getter, value) in RIGHT:
        problems.raise_if_any()
        return
    assert result == -1
    column = 4 if value else 3  # nothing stands right after the colon
    check(problems, f"1:{column}: 'space.a' must be {wanted}, not {NODES[value]} [wrong-type]")


def test_lists_are_checked_item_by_item() -> None:
    section, problems = opened("a: [x, 3, [y]]\nb: [adm, sgd]\nc: [x, y, x]\n")
    assert section.texts("a", ["z"]) == ["z"]
    assert section.texts("c", ["z"]) == ["z"]
    assert section.texts("b", None, among=["adam", "sgd"]) is None
    check(
        problems,
        "1:8: 'space.a.1' must be text, not number 3 [wrong-type]",
        "1:11: 'space.a.2' must be text, not a list [wrong-type]",
        "2:5: unknown name 'adm' for 'space.b.0' [unknown-name]\n  hint: did you mean 'adam'?",
        "3:11: 'x' stands twice in 'space.c' [duplicate-value]\n  hint: delete one of the two",
    )


def test_numbers_out_of_range_give_the_default() -> None:
    section, problems = opened("a: 0\nb: 9\nc: 0\nd: 1.5\n")
    assert section.integer("a", 5, at_least=1) == 5
    assert section.integer("b", None, at_least=1, at_most=8) is None
    assert section.number("c", 0.1, above=0) == 0.1
    assert section.number("d", 0.1, at_least=0, at_most=1) == 0.1
    check(
        problems,
        "1:4: 'space.a' must be at least 1, not 0 [out-of-range]",
        "2:4: 'space.b' must be at least 1 and at most 8, not 9 [out-of-range]",
        "3:4: 'space.c' must be above 0, not 0 [out-of-range]",
        "4:4: 'space.d' must be at least 0 and at most 1, not 1.5 [out-of-range]",
    )


@pytest.mark.parametrize("text", [".nan", "1e400", "9" * 19, "0x1f", "*a"])
def test_what_the_reader_refused_is_one_problem(text: str) -> None:
    """It is text to whoever asks for it, and that is not said a second time; but it counts as a problem."""
    problems = Problems("space.yaml")
    section = Section(read_text(f"{text}: {text}\nb: [{text}]", "space.yaml", problems), "space", problems)
    known = len(problems)
    assert section.number(text, 1.5) == 1.5
    assert section.texts("b", ["x"], among=["x"]) == ["x"]
    assert len(problems) == known + 2
    section.require("c")
    with pytest.raises(SpecError, match=r"missing key 'space.c' \[missing-key\]") as error:
        problems.raise_if_any()
    places = [(p.line, p.column, p.code == "missing-key") for p in error.value.problems]
    assert places == [(1, 1, False), (1, 1, True), (1, len(text) + 3, False), (2, 5, False)]


def test_unknown_names_come_with_the_nearest_or_with_all() -> None:
    section, problems = opened("a: Adamm\nb: zzz\nc: x\n")
    assert section.text("a", "sgd", among=["sgd", "adam"]) == "sgd"
    assert section.text("b", None, among=["sgd", "adam"]) is None
    assert section.text("c", None, among=[]) is None
    check(
        problems,
        "1:4: unknown name 'Adamm' for 'space.a' [unknown-name]\n  hint: did you mean 'adam'?",
        "2:4: unknown name 'zzz' for 'space.b' [unknown-name]\n  hint: known names: sgd, adam",
        "3:4: unknown name 'x' for 'space.c' [unknown-name]",
    )


def test_keys_never_asked_for_are_unknown() -> None:
    section, problems = opened("depth: 1\nkernal: 3\nmodel: {}\n42: x\n'a\\': 1\n")
    for key in ("depth", "width", "kernel"):
        section.integer(key, 1)
    section.section("model").finish()
    section.finish()
    check(
        problems,
        "2:1: unknown key 'space.kernal' [unknown-key]\n  hint: did you mean 'kernel'?",
        "4:1: unknown key 'space.42' [unknown-key]\n  hint: known keys: depth, width, kernel, model",
        "5:1: unknown key 'space.a\\\\' [unknown-key]\n  hint: known keys: depth, width, kernel, model",
    )


@pytest.mark.parametrize("ask", [Section.has, Section.child, Section.mark, Section.require, Section.section])
def test_asking_in_any_way_makes_a_key_known(ask: Callable[[Section, str], object]) -> None:
    section, problems = opened("a: {b: 1}\n")
    ask(section, "a")
    section.finish()
    problems.raise_if_any()


def test_a_required_key_must_be_there() -> None:
    section, problems = opened("a:\n  b: 1\n")
    inner = section.section("a")
    node: Node | None = inner.require("b")
    assert node is not None
    assert plain(node) == 1
    assert inner.require("c") is None
    assert section.section("d").require("e") is None
    check(
        problems,
        "1:1: missing key 'space.d.e' [missing-key]",
        "2:3: missing key 'space.a.c' [missing-key]",
    )


def test_what_is_not_a_mapping_is_a_problem_and_behaves_as_empty() -> None:
    section, problems = opened("a: [1]\nb:\n")
    for key in ("a", "b"):
        inner = section.section(key)
        assert inner.integer("c", 2) == 2
        inner.finish()
    check(
        problems,
        "1:4: 'space.a' must be a mapping, not a list [wrong-type]",
        "2:3: 'space.b' must be a mapping, not empty [wrong-type]",
    )


def test_marks_lead_to_the_value_or_to_the_mapping_around() -> None:
    section, _ = opened("a: 1\nb:\n  c: 2\n")
    inner = section.section("b")
    assert (section.mapping_mark, inner.mapping_mark) == (Mark(1, 1), Mark(3, 3))
    assert (section.mark("a"), inner.mark("c"), inner.mark("d")) == (Mark(1, 4), Mark(3, 6), Mark(3, 3))
    assert inner.section("d").mapping_mark == Mark(3, 3)
    assert Section(None, "space", Problems("space.yaml")).mapping_mark == Mark(1, 1)


def test_paths_name_the_place_in_the_file() -> None:
    section, problems = opened("a: {b: {c: 1}}\n")
    assert section.section("a").section("b").where == "space.a.b"
    bare = Section(read_text("x: 1", "space.yaml"), "", problems)
    bare.finish()
    check(problems, "1:1: unknown key 'x' [unknown-key]")


def test_long_and_strange_values_are_cut_and_escaped_in_messages() -> None:
    assert describe(read_text("x" * 1000, "space.yaml")) == f"text '{'x' * 57}...'"
    assert describe(read_text('"\\e[31m"', "space.yaml")) == "text '\\x1b[31m'"


def test_tens_of_thousands_of_unknown_keys_are_no_trouble() -> None:
    section, problems = opened("".join(f"kernel{i}: 1\n" for i in range(10_000)))
    for i in range(50):
        section.child(f"kernel_{i}")
    start = time.perf_counter()
    section.finish()
    assert time.perf_counter() - start < 1
    assert len(problems) == 10_000
