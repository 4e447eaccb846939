"""Random spaces drawn from the whole language, with an enumeration written without any of its code."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from hypothesis import strategies as st

from spaces import Space, from_text
from spaces.choice import Value
from spaces.yaml.writer import dump

VALUES: list[Value] = [1, 2, 3, 8, True, False, 1.5, 2.0, "a", "b"]
Found = dict[str, Value]


def load_document(document: dict[str, Any]) -> Space:
    """The space of a file with this content."""
    return from_text(dump(document))


def fields() -> st.SearchStrategy[Any]:
    """A constant, a choice or a range."""
    several = st.lists(st.sampled_from(VALUES), min_size=1, max_size=3, unique_by=lambda v: (type(v), v))
    return st.one_of(
        st.sampled_from(VALUES),
        several.map(lambda values: {"choice": values}),
        st.integers(1, 3).map(lambda n: {"range": [2, 2 + 4 * n, 4]}),
    )


def _around(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    groups = st.dictionaries(st.sampled_from("xyz"), inner, min_size=1, max_size=2)
    counts = st.one_of(
        st.integers(0, 2), st.just({"choice": [0, 2]}), st.just({"range": [1, 2]}), st.just({"choice": [2, 1]})
    )
    return st.one_of(
        groups,
        st.builds(lambda n, of, tied: {"repeat": n, "of": of, "tied": tied}, counts, inner, st.booleans()),
        inner.map(lambda of: {"optional": of}),
        st.dictionaries(st.sampled_from(["p", "q", "r"]), inner, min_size=1, max_size=3).map(lambda d: {"one_of": d}),
    )


def trees() -> st.SearchStrategy[dict[str, Any]]:
    """Content of ``choices``: fields and structures, nested, some with conditions and ties between the top ones."""
    nested = st.recursive(fields(), _around, max_leaves=5)
    return st.dictionaries(st.sampled_from("abcd"), nested, min_size=1, max_size=4).flatmap(_linked)


@st.composite
def _linked(draw: st.DrawFn, tree: dict[str, Any]) -> dict[str, Any]:
    owners = [name for name, node in tree.items() if isinstance(node, dict) and "choice" in node]
    for name, node in tree.items():
        before = owners[: owners.index(name)] if name in owners else []
        if before and len(node["choice"]) > 1 and len(tree[before[0]]["choice"]) > 1 and draw(st.booleans()):
            wanted = draw(st.sampled_from(tree[before[0]]["choice"]))
            tree = {**tree, name: {**node, "when": {before[0]: wanted}, "else": node["choice"][0]}}
    chosen = [n for n in owners if len(tree[n]["choice"]) > 1 and "when" not in tree[n]]
    if chosen and draw(st.booleans()):
        tree = {**tree, "tied": {"tie": draw(st.sampled_from(chosen))}}
    return tree


def documents() -> st.SearchStrategy[dict[str, Any]]:
    """Whole files."""
    return trees().map(lambda tree: {"model": {"family": "choices", "choices": tree}})


# -- what a tree means, said once more and differently: by walking through it with everything decided so far


def enumerate_tree(tree: dict[str, Any]) -> list[Found]:
    """Every distinct architecture, by trying all."""
    found: dict[tuple[tuple[str, str], ...], Found] = {}
    for decided in _group(tree, "", {}):
        found.setdefault(tuple(sorted((k, repr(v)) for k, v in decided.items())), decided)
    return list(found.values())


def _group(tree: dict[str, Any], path: str, decided: Found) -> Iterator[Found]:
    if not tree:
        yield decided
        return
    (name, node), *rest = tree.items()
    for after in _node(node, f"{path}.{name}" if path else name, decided):
        yield from _group(dict(rest), path, after)


def _inner(node: Any, path: str, decided: Found) -> Iterator[Found]:
    """What is inside a structure: a group's names stand in the place itself, anything else is called ``of``."""
    group = isinstance(node, dict) and not {"choice", "range", "tie", "repeat", "optional", "one_of"} & set(node)
    yield from _group(node, path, decided) if group else _node(node, f"{path}.of", decided)


def _node(node: Any, path: str, decided: Found) -> Iterator[Found]:
    if not isinstance(node, dict) or "tie" in node:
        yield decided
    elif "choice" in node or "range" in node:
        yield from _field(node, path, decided)
    elif "repeat" in node:
        for count, after in _switch(_values(node["repeat"]), path, decided):
            yield from _elements(node, path, int(count), 0, after)
    elif "optional" in node:
        for there, after in _switch([False, True], path, decided):
            yield from _inner(node["optional"], path, after) if there else iter([after])
    elif "one_of" in node:
        for name, after in _switch(list(node["one_of"]), path, decided):
            yield from _inner(node["one_of"][name], f"{path}.{name}", after)
    else:
        yield from _group(node, path, decided)


def _elements(node: Any, path: str, count: int, position: int, decided: Found) -> Iterator[Found]:
    if position == count:
        yield decided
        return
    place = f"{path}.each" if node["tied"] else f"{path}.{position}"
    for after in _inner(node["of"], place, decided):
        yield from _elements(node, path, count, position + 1, after)


def _field(node: dict[str, Any], path: str, decided: Found) -> Iterator[Found]:
    values = _values(node)
    needed = node.get("when", {})
    there = all(name in decided and repr(decided[name]) == repr(value) for name, value in needed.items())
    if not there or (len(values) == 1 and not needed) or path in decided:
        yield decided
    else:
        yield from ({**decided, path: value} for value in values)


def _switch(values: list[Any], path: str, decided: Found) -> Iterator[tuple[Any, Found]]:
    if len(values) == 1:
        yield values[0], decided
    elif path in decided:
        yield decided[path], decided
    else:
        yield from ((value, {**decided, path: value}) for value in values)


def _values(node: Any) -> list[Any]:
    if not isinstance(node, dict):
        return [node]
    if "choice" in node:
        return list(node["choice"])
    low, high, step = (*node["range"], 1)[:3]
    return list(range(low, high + 1, step))
