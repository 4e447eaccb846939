"""The outline resolved: one answer for one architecture and for many, and tensor formats against a slow reference."""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spaces import INPUT, Architecture, Chosen, Condition, Layer, Outline, Record, Space
from spaces.choice import Choice
from spaces.outline import WEIGHTED
from spaces.precision import parse
from spaces.randomness import generator
from tests.examples import RESIDUAL, convnets, space_of, with_precision


@dataclass(frozen=True)
class Formats:
    """What the rule says of one layer."""

    runs8: bool
    in8: bool
    out8: bool


def reference(layers: tuple[Layer, ...]) -> dict[str, Formats]:
    """The rule of :mod:`spaces.outline`, word by word, one tensor after the other."""
    by_path = {layer.path: layer for layer in layers}

    def readers(name: str) -> list[Layer]:
        return [layer for layer in layers if name in layer.inputs]

    def wanted(name: str) -> bool:  # a consumer with weights wants its input in 8 bits
        return any(layer.kind in ("conv", "linear") and layer.precision.name != "float" for layer in readers(name))

    def integer(layer: Layer) -> bool:  # the kernel computes with integers
        if layer.kind in ("conv", "linear"):
            return layer.precision.name != "float"
        return all(stored(name) for name in layer.inputs) and wanted(layer.path)

    def stored(name: str) -> bool:
        if wanted(name):
            return True
        layer = by_path.get(name)
        if layer is None or layer.kind == "linear":  # its integer kernel can give floats
            return False
        return integer(layer) and layer.activation in ("none", "relu")  # else its sums are

    return {y.path: Formats(integer(y), stored(y.inputs[0]), stored(y.path)) for y in layers}


def formats(layers: tuple[Layer, ...]) -> dict[str, Formats]:
    """What the outline says."""
    return {y.path: Formats(y.runs8, y.in8, y.out8) for y in layers}


@settings(deadline=None, max_examples=60)
@given(convnets(), st.integers(0, 2**32))
def test_formats_follow_the_rule(space: Space, seed: int) -> None:
    for architecture in set(space.sample_many(8, generator(seed, "test"))):
        layers = space.outline.layers(architecture)
        assert formats(layers) == reference(layers)


@st.composite
def graphs(draw: st.DrawFn) -> tuple[Layer, ...]:
    """Outlines that no family makes: convs, adds of any two tensors of equal shape, any precision, all read freely."""
    records: list[Record] = []
    tensors = [INPUT]
    for i in range(draw(st.integers(1, 7))):
        precision = draw(st.sampled_from(["float", "w8a8", "w4a8"]))
        if draw(st.booleans()):
            inputs = (draw(st.sampled_from(tensors)), draw(st.sampled_from(tensors)))
            records.append(Record(f"n{i}", "add", inputs))
        else:
            records.append(Record(f"n{i}", "conv", (draw(st.sampled_from(tensors)),), out=2, precision=precision))
        tensors.append(f"n{i}")
    outline = Outline((2, 3, 3), 2, tuple(records))
    return outline.layers(Architecture({}))


@settings(deadline=None, max_examples=150)
@given(graphs())
def test_formats_follow_the_rule_in_any_graph(layers: tuple[Layer, ...]) -> None:
    assert formats(layers) == reference(layers)


def chain(*precisions: str) -> dict[str, Formats]:
    """Formats of convs in a row."""
    names = [INPUT, *(f"n{i}" for i in range(len(precisions)))]
    records = [Record(f"n{i}", "conv", (names[i],), out=2, precision=p) for i, p in enumerate(precisions)]
    return formats(Outline((2, 3, 3), 2, tuple(records)).layers(Architecture({})))


def test_a_chain_stores_what_an_integer_kernel_reads_or_writes() -> None:
    assert chain("float", "w8a8", "float", "float") == {
        "n0": Formats(False, False, True),  # float kernel, its output wanted in 8 bits
        "n1": Formats(True, True, True),  # an integer kernel writes integers, also for a float reader
        "n2": Formats(False, True, False),
        "n3": Formats(False, False, False),
    }
    assert chain("w4a8") == {"n0": Formats(True, True, True)}  # also where it is the last


@pytest.mark.parametrize(
    ("first", "second", "reader", "adds"),
    [("w8a8", "w4a8", "w8a8", True), ("w8a8", "float", "w8a8", False), ("w8a8", "w8a8", "float", False)],
)
def test_an_add_runs_in_8_bits_if_all_its_inputs_and_its_reader_do(
    first: str, second: str, reader: str, adds: bool
) -> None:
    records = (
        Record("a", "conv", (INPUT,), out=2, precision=first),
        Record("b", "conv", (INPUT,), out=2, precision=second),
        Record("sum", "add", ("a", "b"), activation="relu"),
        Record("c", "conv", ("sum",), out=2, precision=reader),
    )
    layer = Outline((2, 3, 3), 2, records).layers(Architecture({}))[2]
    assert (layer.runs8, layer.out8) == (adds, reader != "float")


def same(layer: Layer, row: int, space: Space, architectures: list[Architecture]) -> bool:
    """Whether a layer of one architecture is what the table over all of them says in its row."""
    paths = [r.path for r in space.outline.records]
    c = space.outline.table(space.batch(architectures))[paths.index(layer.path)]
    weight, given_input = layer.precision.weight, layer.precision.input
    numbers = {
        "c_in": layer.c_in, "c_out": layer.c_out, "kernel": layer.kernel, "stride": layer.stride, "h": layer.h,
        "w": layer.w, "out_h": layer.out_h, "out_w": layer.out_w, "groups": layer.groups, "heads": layer.heads,
        "kv_heads": layer.kv_heads,
        "weight_bits": weight.bits if weight else 0, "input_bits": given_input.bits if given_input else 0,
        "runs8": layer.runs8, "in8": layer.in8, "out8": layer.out8, "exists": True,
    }  # fmt: skip
    others = {"record", "inputs", "rows", "macs", "precision", "precisions", "activation", "activations"}
    assert {f.name for f in fields(c)} == {*numbers, *others}
    assert c.precisions[c.precision[row]] == layer.precision
    assert c.activations[c.activation[row]] == layer.activation
    inputs = tuple(INPUT if i < 0 else paths[i] for i in c.inputs[row])
    return all(getattr(c, name)[row] == value for name, value in numbers.items()) and inputs == layer.inputs


@settings(deadline=None, max_examples=25)
@given(convnets(), st.integers(0, 2**32))
def test_one_architecture_resolves_as_in_a_batch(space: Space, seed: int) -> None:
    architectures = list(space.sample_many(4, generator(seed, "test"), by_choice=True))
    table = space.outline.table(space.batch(architectures))
    for row, architecture in enumerate(architectures):
        layers = space.outline.layers(architecture)
        assert [c.record.path for c in table if c.exists[row]] == [y.path for y in layers]
        assert all(same(layer, row, space, architectures) for layer in layers)


@settings(deadline=None, max_examples=40)
@given(convnets(), st.integers(0, 2**32))
def test_shapes_and_neighbours_fit_together(space: Space, seed: int) -> None:
    """Every layer reads earlier present layers, in the shape that they give; the last gives the classes."""
    layers = space.outline.layers(space.sample(generator(seed, "test")))
    shape = {INPUT: space.outline.input_shape}
    for y in layers:
        read = {shape[name] for name in y.inputs}
        assert read == {(y.c_in, y.h, y.w)}
        shape[y.path] = (y.c_out, y.out_h, y.out_w)
        assert min(y.c_in, y.c_out, y.h, y.w, y.kernel) >= 1
        assert y.kind in WEIGHTED or y.c_in == y.c_out
    assert shape[layers[-1].path] == (space.outline.classes, 1, 1)


def test_readers_of_an_absent_block_read_what_stands_before_it() -> None:
    space = space_of(RESIDUAL)
    deep, shallow = ({"stages.0.depth": d, "stages.1.depth": 1} for d in (2, 1))
    rng = generator(0, "test")
    inputs = {y.path: y.inputs for y in space.outline.layers(space.complete(deep, rng))}
    assert inputs["stages.0.1.add"] == ("stages.0.1.conv", "stages.0.0.conv")
    assert inputs["stages.1.0.conv"] == ("stages.0.1.add",)
    inputs = {y.path: y.inputs for y in space.outline.layers(space.complete(shallow, rng))}
    assert list(inputs) == ["stages.0.0.conv", "stages.1.0.conv", "pool", "classifier"]
    assert inputs["stages.1.0.conv"] == ("stages.0.0.conv",)


def test_names_of_precisions_come_back_as_pairs() -> None:
    space = space_of(RESIDUAL)
    architecture = with_precision(space, space.largest, "w4a8")
    assert {y.precision for y in space.outline.layers(architecture) if y.kind in WEIGHTED} == {parse("w4a8")}
    assert {y.precision.name for y in space.outline.layers(architecture)} == {"w4a8", "float"}  # adds and pool


def test_conditions_of_layers_are_typed() -> None:
    """A layer that exists for 1 does not exist for true."""
    choice = Choice("a", (1, True))
    record = Record("conv", "conv", (INPUT,), out=2, exists_when=(Condition("a", (1,)),))
    last = Record("last", "linear", ("conv",), out=2)
    space = Space("typed", (choice,), Outline((2, 1, 1), 2, (record, last)))
    assert [len(space.outline.layers(space.architecture({"a": v}))) for v in (1, True)] == [2, 1]
    assert space.outline.table(space.batch(list(space.enumerate())))[0].exists.tolist() == [True, False]


def test_the_outline_is_plain_data() -> None:
    outline = space_of(RESIDUAL).outline
    first = outline.to_json()["records"][0]
    assert (first["path"], first["out"], first["precision"]) == (
        "stages.0.0.conv", {"name": "stages.0.width"}, {"name": "stages.0.0.conv.precision"},
    )  # fmt: skip
    assert isinstance(outline.records[0].out, Chosen)
    assert outline.precision_choices == {
        "stages.0.0.conv.precision", "stages.0.1.conv.precision", "stages.1.0.conv.precision",
        "stages.1.1.conv.precision", "classifier.precision",
    }  # fmt: skip


def test_ten_thousand_architectures_resolve_in_one_pass() -> None:
    space = space_of(RESIDUAL)
    table = space.outline.table(space.sample_many(10_000, generator(0, "test")))
    assert all(c.exists.shape == c.h.shape == (10_000,) for c in table)
    assert {c.c_in.dtype for c in table} == {np.dtype(np.int64)}
