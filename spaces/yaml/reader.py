"""YAML to nodes that know their place. Any bytes give a node or our :class:`SpecError`, and soon.

PyYAML's Python parser makes events (its C parser crashes on deep nesting); limits, nodes and types are ours. YAML 1.1
and 1.2 read ``no``, ``017`` or ``12:30:45`` differently: such words are refused unless quoted.
"""

from __future__ import annotations

import math
import os
import re
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

import yaml
from yaml.reader import ReaderError
from yaml.resolver import Resolver

from spaces.yaml.errors import Mark, Problems, SpecError, clipped, nearest, shown

MAX_BYTES = 250_000  # a dense megabyte takes PyYAML three seconds, and we promise an answer in two
MAX_DEPTH = 32
MAX_NODES = 50_000
MAX_DIGITS = 18  # fits in 64 bits; int() of very long text is slow, or refused by Python

Value = str | int | float | bool | None


@dataclass(frozen=True, slots=True)
class Scalar:
    """A single value; ``text`` as written, without its quotes."""

    value: Value
    text: str
    mark: Mark


@dataclass(frozen=True, slots=True)
class Sequence:
    """A list."""

    items: tuple[Node, ...]
    mark: Mark


@dataclass(frozen=True, slots=True)
class Mapping:
    """Keys and values as written, keys distinct."""

    entries: tuple[tuple[Scalar, Node], ...]
    mark: Mark


Node = Scalar | Sequence | Mapping


def read_file(path: str | os.PathLike[str], problems: Problems | None = None) -> Node:
    """The node of a file; ``problems`` as in :func:`read_text`. Raises :class:`SpecError`, also if there is no file."""
    path = Path(path)
    own = Problems(str(path)) if problems is None else problems
    try:
        if not path.exists():
            raise own.stop(Mark(1, 1), f"no such file: {shown(path.name)}", "missing-file", nearest_file(path))
        if not path.is_file():  # opening a pipe would wait for ever
            raise own.stop(Mark(1, 1), "not a regular file", "unreadable")
        with path.open("rb") as stream:
            data = stream.read(MAX_BYTES + 1)
    except OSError as error:
        raise own.stop(Mark(1, 1), f"cannot be read: {error.strerror or error}", "unreadable") from error
    return read_text(data, str(path), problems)


def read_text(text: str | bytes, file: str, problems: Problems | None = None) -> Node:
    """The node of a text; ``file`` is its name in messages. Raises :class:`SpecError` with all its problems.

    With ``problems`` those after which reading can go on (a repeated key, say) are noted there instead.
    """
    own = Problems(file) if problems is None else problems
    node = _compose(_decode(text, own), own)
    if problems is None:
        own.raise_if_any()
    return node


def plain(node: Node) -> object:
    """The node as dicts, lists and values, sharing nothing."""
    match node:
        case Scalar():
            return node.value
        case Sequence():
            return [plain(item) for item in node.items]
        case Mapping():
            return {key.value: plain(value) for key, value in node.entries}


def nearest_file(path: Path) -> str | None:
    """A hint for a missing file: the nearest name in its folder, or that there is no such folder."""
    try:
        with os.scandir(path.parent) as entries:
            guess = nearest(path.name, [e.name for e in islice(entries, 1000) if e.name != path.name])
    except OSError:
        return f"there is no folder {shown(path.parent.name)}"
    except ValueError:  # a NUL in the path
        return None
    return f"did you mean '{guess}'?" if guess else None


def _decode(text: str | bytes, problems: Problems) -> str:
    data = text.encode("utf-8", "surrogatepass") if isinstance(text, str) else text
    if len(data) > MAX_BYTES:
        raise problems.stop(Mark(1, 1), f"the file has more than {MAX_BYTES:,} bytes", "too-large")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        before = error.object[: error.start].decode("utf-8")
        what = f"byte 0x{error.object[error.start]:02x} is not UTF-8"
        raise problems.stop(Mark.after(before), what, "syntax", "save the file as UTF-8") from error


def _compose(text: str, problems: Problems) -> Node:
    composer = _Composer(problems)
    try:
        for event in yaml.parse(text, Loader=yaml.SafeLoader):
            composer.take(event)
    except SpecError:
        raise
    except yaml.MarkedYAMLError as error:
        place = error.problem_mark or error.context_mark
        mark = composer.mark if place is None else Mark(place.line + 1, place.column + 1)
        raise problems.stop(mark, clipped(error.problem or str(error)), "syntax", _syntax_hint(error)) from error
    except ReaderError as error:
        mark = Mark.after(text[: error.position])
        raise problems.stop(mark, f"character {chr(error.character)!r} is not allowed", "syntax") from error
    except Exception as error:  # PyYAML lets ValueError, IndexError and others out of its scanner
        what = f"cannot be read as YAML ({type(error).__name__})"
        raise problems.stop(composer.mark, what, "syntax") from error
    root = composer.root
    if root is None or (isinstance(root, Scalar) and root.value is None and not root.text):
        raise problems.stop(Mark(1, 1), "the file is empty", "empty")
    return root


def _syntax_hint(error: yaml.MarkedYAMLError) -> str | None:
    if error.problem and "'\\t'" in error.problem:
        return "indent with spaces, not tabs"
    if error.context and error.context_mark:
        return clipped(f"{error.context} that starts at line {error.context_mark.line + 1}")
    return None


@dataclass(slots=True)
class _Anchor:
    """Where a name was given, and its node once that is complete."""

    mark: Mark
    node: Node | None = None
    nodes: int = 0
    height: int = 0


@dataclass(slots=True)
class _Open:
    """A collection that is still being read. A mapping's children are keys and values in turn."""

    mark: Mark
    mapping: bool
    anchor: _Anchor | None
    nodes_at_start: int
    children: list[Node] = field(default_factory=list)
    height: int = 1


class _Composer:
    """Builds the node of one document from events, within the limits."""

    def __init__(self, problems: Problems) -> None:
        self.problems = problems
        self.root: Node | None = None
        self.mark = Mark(1, 1)
        self._open: list[_Open] = []
        self._anchors: dict[str, _Anchor] = {}
        self._nodes = 0

    def take(self, event: yaml.Event) -> None:
        """Go on by one event. Raises :class:`SpecError` where nothing more can be read."""
        assert event.start_mark is not None
        self.mark = Mark(event.start_mark.line + 1, event.start_mark.column + 1)
        match event:
            case yaml.AliasEvent():
                self._alias(event.anchor or "")
            case yaml.ScalarEvent():
                anchor = self._begin(event.tag, event.anchor)
                noted = len(self.problems)
                value = event.value if event.style else _typed(event.value, self.mark, self.problems)
                if len(self.problems) > noted:
                    self._settle()
                self._place(Scalar(value, event.value, self.mark), anchor, nodes=1, height=0)
            case yaml.CollectionStartEvent():
                anchor = self._begin(event.tag, event.anchor)
                self._open.append(_Open(self.mark, isinstance(event, yaml.MappingStartEvent), anchor, self._nodes))
                self._check_depth(0)
            case yaml.CollectionEndEvent():
                done = self._open.pop()
                node = self._mapping(done) if done.mapping else Sequence(tuple(done.children), done.mark)
                self._place(node, done.anchor, self._nodes - done.nodes_at_start + 1, done.height)
            case yaml.DocumentStartEvent() if self.root is not None:
                raise self.problems.stop(self.mark, "a second document starts here", "several-documents")

    def _settle(self) -> None:
        """No more about this value. A key's place is that of the whole mapping, of which more can be wrong."""
        if not (self._open and self._open[-1].mapping and len(self._open[-1].children) % 2 == 0):
            self.problems.settle(self.mark)

    def _begin(self, tag: str | None, name: str | None) -> _Anchor | None:
        self._count(1)
        if tag is not None:
            self.problems.add(self.mark, f"tags are not supported: {shown(tag)}", "tag", "delete it")
        if name is None:
            return None
        if name in self._anchors:
            first = self._anchors[name].mark.line
            self.problems.add(self.mark, f"anchor {shown('&' + name)} repeats line {first}", "alias")
        return self._anchors.setdefault(name, _Anchor(self.mark))

    def _place(self, node: Node, anchor: _Anchor | None, nodes: int, height: int) -> None:
        """Put a complete node where it belongs: at the root or into the innermost open collection."""
        if anchor is not None and anchor.node is None:
            anchor.node, anchor.nodes, anchor.height = node, nodes, height
        if self._open:
            parent = self._open[-1]
            parent.children.append(node)
            parent.height = max(parent.height, height + 1)
        else:
            self.root = node

    def _alias(self, name: str) -> None:
        anchor = self._anchors.get(name)
        node: Node = Scalar("*" + name, "*" + name, self.mark)  # a stand-in, so that the reading can go on
        nodes, height = 1, 0
        if anchor is None:
            hint = self.problems.suggest(name, self._anchors, "anchors")
            self.problems.add(self.mark, f"no anchor of the name {shown(name)} before this alias", "alias", hint)
            self._settle()
        elif anchor.node is None:
            self.problems.add(self.mark, f"alias {shown('*' + name)} stands inside its own anchor", "alias")
            self._settle()
        else:
            node, nodes, height = anchor.node, anchor.nodes, anchor.height
        self._count(nodes)  # as if written out, which is what every later walk over the nodes will see
        self._check_depth(height)
        self._place(node, None, nodes, height)

    def _count(self, nodes: int) -> None:
        self._nodes += nodes
        if self._nodes > MAX_NODES:
            raise self.problems.stop(self.mark, f"more than {MAX_NODES:,} values", "too-large")

    def _check_depth(self, height: int) -> None:
        if len(self._open) + height > MAX_DEPTH:
            raise self.problems.stop(self.mark, f"nested more than {MAX_DEPTH} deep", "too-deep")

    def _mapping(self, done: _Open) -> Mapping:
        entries: dict[Value, tuple[Scalar, Node]] = {}
        for key, value in zip(done.children[::2], done.children[1::2], strict=True):
            if not isinstance(key, Scalar) or key.value is None:
                self.problems.add(key.mark, "a key must be a single word, not empty and not a collection", "wrong-type")
            elif key.value in entries:
                first = entries[key.value][0].mark.line
                hint = "delete one of the two; the later one does not win"
                self.problems.add(key.mark, f"key {shown(key.text)} repeats line {first}", "duplicate-key", hint)
            else:
                entries[key.value] = (key, value)
        return Mapping(tuple(entries.values()), done.mark)


_WORDS: dict[str, bool | None] = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL"), None),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
}
_INTEGER = re.compile(r"[-+]?(?:0|[1-9][0-9]*)")
_FLOAT = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+\.[0-9]*|[0-9]+(?=[eE]))(?:[eE][-+]?[0-9]+)?")
_NOT_FINITE = re.compile(r"[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)")
_OCTAL = re.compile(r"[-+]?0[0-9]+|0o[0-7]+")


def _typed(text: str, mark: Mark, problems: Problems) -> Value:
    """The value of an unquoted scalar: one of YAML 1.2 (core), else text; the text itself where there is a problem."""
    if text in _WORDS:
        return _WORDS[text]
    if _INTEGER.fullmatch(text):
        if len(text.lstrip("+-")) <= MAX_DIGITS:
            return int(text)
        problems.add(mark, f"integer {shown(text)} has more than {MAX_DIGITS} digits", "too-large")
    elif _FLOAT.fullmatch(text) and math.isfinite(number := float(text)):
        return number
    elif _FLOAT.fullmatch(text) or _NOT_FINITE.fullmatch(text):
        problems.add(mark, f"{shown(text)} is not a finite number", "not-finite")
    elif text == "<<":
        problems.add(mark, "merge keys '<<' are not supported", "merge-key", "write the keys out")
    elif _surprising(text):
        other = "write true or false" if text.isalpha() else "write a plain decimal number"
        problems.add(mark, f"{shown(text)} is read in two ways", "ambiguous", f"quote it: {shown(text)}, or {other}")
    return text


def _surprising(text: str) -> bool:
    """Whether some YAML makes something else than text of it: ``yes``, ``0x1F``, ``1_000``, a date, a clock."""
    yaml_1_1 = Resolver.yaml_implicit_resolvers.get(text[0], ())
    return _OCTAL.fullmatch(text) is not None or any(pattern.match(text) for _, pattern in yaml_1_1)


__all__ = ["Mapping", "Mark", "Node", "Scalar", "Sequence", "Value", "nearest_file", "plain", "read_file", "read_text"]
