"""``family: graph``: a whole network from named layers, with choices anywhere.

``layers`` is a list. An item is a layer (``conv: {out: 16, kernel: 3}``, or a single value for its first parameter, or
just ``flatten``) or a structure around a list of layers: ``residual``, ``dense``, ``split``, and those of the language,
``repeat``, ``optional``, ``one_of``. Each may have a ``name`` (else its number in the list is its name) and a ``when``.
A layer that is absent passes its input on. The last layer gives the output.

The layers themselves are in :mod:`spaces.families.graph_layers`.
"""

from __future__ import annotations

from dataclasses import replace

from spaces.families.graph_layers import LAYERS, Item, Tensor
from spaces.language import Builder, Scope
from spaces.language.fields import read_when
from spaces.language.tree import KINDS, kind_of, parts
from spaces.layers import INPUT, Chosen, Joined, Position, Record
from spaces.yaml import Mapping, Node, Scalar, Section, Sequence, describe, shown

WRAPPERS = ("residual", "dense", "split")
_ACTIVATIONS = ("none", "relu")


def read(model: Section, builder: Builder, classes: int) -> None:
    """Choices and records of the ``model`` section."""
    layers = model.require("layers")
    if layers is not None:
        _Graph(builder).chain(layers, f"{model.where}.layers", Scope().enter("layers"), Tensor(INPUT, None))
        if not builder.records and not len(builder.problems):
            builder.problems.add(layers.mark, "the network has no layer", "wrong-type")


class _Graph:
    def __init__(self, builder: Builder) -> None:
        self.builder = builder
        self.problems = builder.problems

    def chain(self, node: Node, where: str, scope: Scope, before: Tensor) -> Tensor:
        """One layer after the other."""
        if not isinstance(node, Sequence):
            self.problems.add(node.mark, f"'{where}' must be a list of layers, not {describe(node)}", "wrong-type")
            return before
        for position, item in enumerate(node.items):
            before = self.item(item, f"{where}.{position}", scope, position, before)
        return before

    def item(self, node: Node, where: str, scope: Scope, position: int, before: Tensor) -> Tensor:
        """One item of a list; where it is absent its input is passed on."""
        if isinstance(node, Scalar) and isinstance(node.value, str):  # just the name of a layer
            node = Mapping(((Scalar(node.value, node.value, node.mark), Mapping((), node.mark)),), node.mark)
        if not isinstance(node, Mapping):
            self.problems.add(node.mark, f"'{where}' must be a layer, not {describe(node)}", "wrong-type")
            return before
        name = self._name(node, position)
        if kind_of(node) is not None:
            return self.structure(_without(node, "name"), where, scope.enter(name, "stage"), before)
        inner = scope.enter(name, "block")
        section = Section(node, where, self.problems)
        section.child("name")
        known = [*LAYERS, *WRAPPERS, *KINDS]
        kinds = [key for key, _ in node.entries if key.text not in ("name", "when")]
        needs = read_when(section, self.problems)
        if len(kinds) != 1:
            said = f"'{where}' must be exactly one layer, not {', '.join(k.text for k in kinds) or 'none'}"
            self.problems.add(node.mark, said, "wrong-type")
            return before
        kind = kinds[0].text
        if kind not in LAYERS and kind not in WRAPPERS:
            hint = self.problems.suggest(kind, known, "layers")
            self.problems.add(kinds[0].mark, f"unknown layer {shown(kind)}", "unknown-name", hint)
            return before
        conditions = tuple(c for need in needs if (c := self.builder.condition(need, inner)) is not None)
        inner = inner.within(inner.when + conditions).at("block")
        node = section.child(kind) or Mapping((), node.mark)
        if kind in WRAPPERS:
            after = getattr(self, kind)(node, f"{where}.{kind}", inner, before)
        else:
            after = LAYERS[kind](Item(kind, node, f"{where}.{kind}", inner.at("layer"), before, self.builder))
        return _passing(after, before) if inner.when != scope.when else after

    def _name(self, node: Mapping, position: int) -> str:
        given = next((value for key, value in node.entries if key.text == "name"), None)
        if given is None:
            return str(position)
        text = given.value if isinstance(given, Scalar) else None
        if not isinstance(text, str) or not text.isidentifier():
            self.problems.add(given.mark, "a layer's name must be a word of letters, digits and '_'", "wrong-name")
            return str(position)
        return text

    # -- the language's structures

    def structure(self, node: Node, where: str, scope: Scope, before: Tensor) -> Tensor:
        kind = kind_of(node)
        switch, found = parts(node, where, scope, self.builder)
        if kind != "one_of":
            after = before
            for part in found:
                after = self.chain(part.node, where, part.scope.at("block"), after)
            return _passing(after, before)
        ends = [self.chain(part.node, f"{where}.{part.name}", part.scope.at("block"), before) for part in found]
        if not ends or not isinstance(switch, Chosen):
            return ends[0] if ends else before
        names = tuple(part.name for part in found)
        path = self.builder.add(
            Record(f"{scope.path}.select", "select", tuple(e.path for e in ends), rows=Position(switch.name, names))
        )
        return _alike(path, ends)

    # -- wrappers

    def residual(self, node: Node, where: str, scope: Scope, before: Tensor) -> Tensor:
        """``residual: [layers]`` or ``{layers, activation, project}``: what they make is added to their input.

        ``project: true`` brings the input to the other shape by a 1x1 convolution where that is needed.
        """
        section = self._body(node, where)
        layers = section.require("layers")
        project = section.boolean("project", False)
        activation = section.text("activation", "none", among=_ACTIVATIONS)
        section.finish()
        if layers is None:
            return before
        after = self.chain(layers, where, scope, replace(before, stride=1))
        skip = before
        if project and (after.channels != before.channels or after.stride != 1):
            skip = self._projected(section, scope, before, after)
        path = self.builder.add(
            Record(scope.named("add"), "add", (after.path, skip.path), activation=activation, exists_when=scope.when)
        )
        return replace(after, path=path, stride=_times(before.stride, after.stride))

    def _projected(self, section: Section, scope: Scope, before: Tensor, after: Tensor) -> Tensor:
        if after.channels is None or after.stride is None:
            said = "the shape that these layers make depends on choices: it cannot be projected to"
            self.problems.add(section.mark("project"), said, "wrong-shape")
            return before
        place = scope.enter("project")
        path = self.builder.add(
            Record(
                place.path, "conv", (before.path,), out=after.channels, stride=after.stride, norm=True,
                precision=self.builder.precision(place), exists_when=place.when,
            )
        )  # fmt: skip
        return replace(after, path=path)

    def dense(self, node: Node, where: str, scope: Scope, before: Tensor) -> Tensor:
        """``dense: {layers, times}``: each time the layers read everything made so far, concatenated."""
        section = self._body(node, where)
        layers, times = section.require("layers"), section.integer("times", 1, at_least=1, at_most=1_000)
        section.finish()
        seen, all_of = [before], before
        for position in range(times if layers is not None else 0):
            assert layers is not None
            seen.append(self.chain(layers, where, scope.enter(position), all_of))
            all_of = self._concat(scope.enter(position), seen)
        return all_of

    def split(self, node: Node, where: str, scope: Scope, before: Tensor) -> Tensor:
        """``split: {branches: {name: [layers]}, merge: add | concat}``: branches side by side from one input."""
        section = self._body(node, where)
        branches = section.require("branches")
        merge = section.text("merge", "add", among=("add", "concat"))
        section.finish()
        if not isinstance(branches, Mapping) or not branches.entries:
            if branches is not None:
                self.problems.add(
                    branches.mark, f"'{where}.branches' must be a mapping from names to lists", "wrong-type"
                )
            return before
        ends = [
            self.chain(value, f"{where}.branches.{key.text}", scope.enter(key.text), replace(before, stride=1))
            for key, value in branches.entries
        ]
        stride = _times(before.stride, ends[0].stride)
        if merge == "concat":
            return replace(self._concat(scope, ends), stride=stride)
        path = self.builder.add(Record(scope.named("add"), "add", tuple(e.path for e in ends), exists_when=scope.when))
        return replace(ends[0], path=path, stride=stride)

    def _concat(self, scope: Scope, tensors: list[Tensor]) -> Tensor:
        path = self.builder.add(
            Record(scope.named("concat"), "concat", tuple(t.path for t in tensors), exists_when=scope.when)
        )
        known = [t.channels for t in tensors if t.channels is not None]
        return Tensor(path, Joined(tuple(known)) if len(known) == len(tensors) else None, tensors[0].stride)

    def _body(self, node: Node, where: str) -> Section:
        if isinstance(node, Sequence):
            node = Mapping(((Scalar("layers", "layers", node.mark), node),), node.mark)
        return Section(node, where, self.problems)


def _without(node: Mapping, key: str) -> Mapping:
    return Mapping(tuple(entry for entry in node.entries if entry[0].text != key), node.mark)


def _times(a: int | None, b: int | None) -> int | None:
    return None if a is None or b is None else a * b


def _passing(after: Tensor, before: Tensor) -> Tensor:
    """What is known of a tensor that may be its layer's input instead."""
    return _alike(after.path, [after, before])


def _alike(path: str, tensors: list[Tensor]) -> Tensor:
    first = tensors[0]
    channels = first.channels if all(t.channels == first.channels for t in tensors) else None
    stride = first.stride if all(t.stride == first.stride for t in tensors) else None
    return Tensor(path, channels, stride)
