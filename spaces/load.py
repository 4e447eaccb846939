"""From a ``space.yaml``, or the name of one in the zoo, to a space."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from pathlib import Path

from spaces.counting import Entangled
from spaces.families import FAMILIES, SEQUENCES
from spaces.interface import interface
from spaces.language import Builder, Option, Scope, take, whole
from spaces.language.precisions import Precisions, read_precisions
from spaces.layers import Chosen
from spaces.notations import NOTATIONS, Notation
from spaces.outline import Outline
from spaces.sound import misplaced, unsound
from spaces.space import Space
from spaces.yaml import (
    Mapping,
    Node,
    Problem,
    Problems,
    Scalar,
    Section,
    SpecError,
    nearest,
    plain,
    read_file,
    read_text,
    shown,
)

ZOO = Path(__file__).parent / "zoo"
SECTIONS = ("name", "data", "model", "precision", "train", "device", "search", "export")


def zoo() -> list[str]:
    """Names of the spaces that come with the platform."""
    return sorted(path.stem for path in ZOO.glob("*.yaml"))


def locate(source: str | Path) -> Path:
    """The file meant by a path or a zoo name. Raises :class:`SpecError` with the nearest name if there is none."""
    path = Path(source)
    is_path = path.suffix in (".yaml", ".yml") or len(path.parts) > 1
    if is_path and not path.exists() and path.stem in zoo():
        hint = f"the zoo has a space of this name: write {path.stem}"
        raise SpecError([Problem(str(source), 1, 1, f"no such file: {shown(path.name)}", "missing-file", hint)])
    if is_path or path.exists():
        return path
    if str(source) in zoo():
        return ZOO / f"{source}.yaml"
    guess = nearest(str(source), zoo())
    hint = f"did you mean '{guess}'?" if guess else f"the zoo has: {', '.join(zoo())}"
    raise SpecError(
        [Problem(str(source), 1, 1, f"no file and no zoo space of the name '{source}'", "missing-file", hint)]
    )


def load(source: str | Path, own: Callable[[Path], Own] | None = None) -> Space:
    """The space of a file or zoo name. Raises :class:`SpecError` listing every problem of its space sections.

    ``own`` makes what reads a model of the user's own, from the folder of the file; see :func:`read_space`.
    """
    path = locate(source)
    problems = Problems(str(path))
    reader = None if own is None else own(path.parent)
    space = read_space(Section(read_file(path, problems), "space", problems), path.stem, problems, reader)
    problems.raise_if_any()
    assert space is not None
    return space


def from_text(text: str, file: str = "space.yaml") -> Space:
    """The space of a file's text; ``file`` is its name in messages. Raises :class:`SpecError` as :func:`load` does."""
    problems = Problems(file)
    space = read_space(Section(read_text(text, file, problems), "space", problems), "space", problems)
    problems.raise_if_any()
    assert space is not None
    return space


Own = Callable[[Section, str, Sequence[str], Problems], Space | None]
"""Reads a ``model`` that is the user's own, from its section, the space's name and the precisions of its layers."""


def read_space(root: Section, default_name: str, problems: Problems, own: Own | None = None) -> Space | None:
    """The space of a file taken apart; ``None`` if the problems leave none. The other sections are left alone.

    ``own`` reads a model of the user's own: to trace it takes more than this room has.
    """
    for key in SECTIONS:
        root.child(key)
    root.finish()
    name = root.text("name", _as_name(default_name))
    if not re.fullmatch(r"[a-z0-9][a-z0-9._-]{0,63}", name):
        problems.add(
            root.mark("name"), f"name {shown(name)} must be lower-case letters, digits, '.', '_' or '-'", "wrong-name"
        )
    before = len(problems)
    precisions = read_precisions(root, problems)
    if root.require("model") is None:
        return None
    model = root.section("model")
    if _is_own(root.child("model")):
        return _own(model, name, precisions, problems, own)
    family = model.text("family", None, among=sorted(FAMILIES)) if model.require("family") is not None else None
    # Of an unknown family check what can be checked: most likely its name is only mistyped.
    family = family or nearest(str(plain(model.child("family") or Scalar("", "", root.mapping_mark))), FAMILIES)
    data = root.section("data")
    shape, classes = interface(family or "", model, data, problems)
    if family is None:
        return None
    builder = Builder(precisions, problems)
    resolution = None if family in SEQUENCES else _resolution(model, builder)
    notation = model.text("notation", None, among=sorted(NOTATIONS))
    FAMILIES[family](model, builder, classes)
    model.finish()
    if len(problems) == before:
        builder.finish()
    if len(problems) > before:
        return None
    if resolution is not None:
        largest = max(int(size) for size in builder.values_of(resolution))
        shape = (shape[0] if model.has("input") or data.has("dataset") else 3, largest, largest)
    outline = Outline(shape, classes, builder.records, resolution)
    space = _space(name, builder, outline, NOTATIONS[notation] if notation else None, model, problems)
    if space is not None:
        written = {key: node for key in ("data", "model", "precision") if (node := root.child(key)) is not None}
        space.document = {"name": name, **{key: plain(node) for key, node in written.items()}}
    return space


def _is_own(model: Node | None) -> bool:
    """Whether it has the keys of a model of the user's own; asking the section would make them keys of every family."""
    return isinstance(model, Mapping) and any(key.text in ("entry", "outline") for key, _ in model.entries)


def _own(model: Section, name: str, precisions: Precisions, problems: Problems, own: Own | None) -> Space | None:
    mark = model.mark("entry")
    if own is None:
        hint = "read it with nas.experiment, or on the command line with --plugin"
        problems.add(mark, "a model of your own is traced by code that is not run here", "plugin-needed", hint)
        return None
    if precisions.parts is not None or precisions.exceptions:
        problems.add(mark, "precisions of a model of your own are a choice, without split or except", "wrong-value")
        return None
    return own(model, name, [str(value) for value in precisions.option.values], problems)


def _as_name(stem: str) -> str:
    """A name made of that of a file, which may have spaces and capitals."""
    return re.sub(r"[^a-z0-9._-]+", "-", stem.lower()).strip("-._")[:64] or "space"


def _space(
    name: str, builder: Builder, outline: Outline, notation: Notation | None, model: Section, problems: Problems
) -> Space | None:
    try:
        space = Space(name, builder.choices, outline, notation)
    except Entangled as error:
        problems.add(model.mapping_mark, str(error).removesuffix(" [entangled]"), "entangled")
        return None
    wrong = unsound(space)
    for what in wrong:
        problems.add(model.mapping_mark, what, "wrong-shape")
    if wrong:
        return None
    refused = {found: (path, why) for path, found, why in reversed(list(misplaced(space)))}  # of each the first layer
    for found, (path, why) in refused.items():
        mark = builder.precision_marks.get(found.name, model.mapping_mark)
        problems.add(mark, f"layer {path}, precision {found.name}: {why.what}", why.code, why.hint)
    return None if refused else space


def _resolution(model: Section, builder: Builder) -> int | Chosen | None:
    if not model.has("resolution"):
        return None
    option: Option = take(model, "resolution", whole(1, 1_000_000, "resolution"), 1, builder.problems)
    field = builder.field(option, Scope(), "resolution")
    return field if isinstance(field, Chosen) else int(field)


__all__ = ["from_text", "load", "locate", "read_space", "zoo"]
