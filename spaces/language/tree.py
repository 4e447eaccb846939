"""Structure around choices: lists whose length is a choice, parts that may be left out, alternatives.

``{repeat: 3 | {choice: …}, of: …, tied: true}``, ``{optional: …}``, ``{one_of: {name: …, …}}``, each with ``when``. The
structure's own choice has the path of the place: how many elements, whether the part is there, which alternative is
taken. Elements are numbered from 0; ``tied`` ones share their choices. What is inside is absent where it is not taken.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from spaces.choice import Value
from spaces.language.builder import Builder
from spaces.language.fields import is_option, option, read_when, whole
from spaces.language.scope import Scope
from spaces.layers import Chosen
from spaces.yaml import Mapping, Node, Section, shown

KINDS = ("repeat", "optional", "one_of")
MOST_ELEMENTS = 1_000


@dataclass(frozen=True)
class Part:
    """One part of a structure: its place, and what is written for it. ``name`` is that of the alternative."""

    scope: Scope
    node: Node
    name: str = ""


def kind_of(node: Node) -> str | None:
    """Which structure a node is, if it is one."""
    words = {k.text for k, _ in node.entries} if isinstance(node, Mapping) else set()
    return next((kind for kind in KINDS if kind in words), None)


def parts(node: Node, where: str, scope: Scope, builder: Builder) -> tuple[Value | Chosen, list[Part]]:
    """(the structure's own choice or constant, its parts) of a node for which :func:`kind_of` says what it is."""
    section = Section(node, where, builder.problems)
    kind = kind_of(node)
    assert kind is not None
    switch, found = _READERS[kind](section, where, scope, builder)
    section.finish()
    return switch, list(found)


def _repeat(section: Section, where: str, scope: Scope, builder: Builder) -> tuple[Value | Chosen, Iterator[Part]]:
    written = section.child("repeat")
    count_of = whole(0, MOST_ELEMENTS, "repeat")
    count = None if written is None else option(written, f"{where}.repeat", "repeat", count_of, builder.problems)
    inner, tied = section.require("of"), section.boolean("tied", False)
    needs = read_when(section, builder.problems)
    if count is None or inner is None:
        return 0, iter(())
    if count.tie is not None:
        switch = builder.field(count, scope, "repeat")
    else:
        switch = builder.switch(scope, count.values, section.mapping_mark, (*count.needs, *needs))
    counts = [int(v) for v in builder.values_of(switch)]

    def elements() -> Iterator[Part]:
        for position in range(max(counts)):
            when = builder.under(scope, switch, [n for n in counts if n > position])
            element = scope.enter(position, when=when)
            element = element.tied(scope.choice("each")) if tied else element
            yield Part(element.at("block"), inner)

    return switch, elements()


def _optional(section: Section, where: str, scope: Scope, builder: Builder) -> tuple[Value | Chosen, Iterator[Part]]:
    inner = section.child("optional")
    assert inner is not None
    switch = builder.switch(scope, (False, True), section.mapping_mark, read_when(section, builder.problems))
    when = builder.under(scope, switch, [True])
    return switch, iter([Part(scope.within(when), inner)])


def _one_of(section: Section, where: str, scope: Scope, builder: Builder) -> tuple[Value | Chosen, Iterator[Part]]:
    written = section.child("one_of")
    needs = read_when(section, builder.problems)
    if not isinstance(written, Mapping) or not written.entries:
        said = f"'{where}.one_of' must be a mapping from names to alternatives, at least one"
        builder.problems.add(section.mark("one_of"), said, "wrong-type")
        return "", iter(())
    names = [key.text for key, _ in written.entries]
    switch = builder.switch(scope, names, section.mapping_mark, needs)
    return switch, iter(
        [Part(scope.enter(name, when=builder.under(scope, switch, [name])), node, name)
         for name, (_, node) in zip(names, written.entries, strict=True)]
    )  # fmt: skip


_READERS: dict[str, Callable[[Section, str, Scope, Builder], tuple[Value | Chosen, Iterator[Part]]]] = {
    "repeat": _repeat,
    "optional": _optional,
    "one_of": _one_of,
}


def walk(node: Node, where: str, scope: Scope, builder: Builder, read: Callable[[Node, str, Scope, str], None]) -> None:
    """Visit a tree of structures, groups (mappings of names) and leaves.

    ``read`` gets every leaf: its node, where it is written, the place around it and its name. Names are words without
    dots, which separate the steps of a path.
    """
    if kind_of(node) is not None:
        _, found = parts(node, where, scope, builder)
        for part in found:
            if is_group(part.node):
                walk(part.node, where, part.scope, builder, read)
            else:
                _step("of", part.node, where, part.scope, builder, read)
    elif isinstance(node, Mapping):
        for key, value in node.entries:
            if not key.text or "." in key.text:
                said = f"a name must be a word without dots, not {shown(key.text)}"
                builder.problems.add(key.mark, said, "wrong-name")
            else:
                _step(key.text, value, f"{where}.{key.text}", scope, builder, read)


def is_group(node: Node) -> bool:
    """Whether a node is a mapping of names, and neither a structure nor a field."""
    return isinstance(node, Mapping) and not is_option(node) and kind_of(node) is None


def _step(
    name: str, node: Node, where: str, scope: Scope, builder: Builder, read: Callable[[Node, str, Scope, str], None]
) -> None:
    if is_group(node) or kind_of(node) is not None:
        walk(node, where, scope.enter(name), builder, read)
    else:
        read(node, where, scope, name)
