"""``family: graph``: networks written layer by layer, against what is worked out by hand."""

from __future__ import annotations

import re

import numpy as np
import pytest

from spaces import Layer, Space, from_text
from spaces.randomness import generator
from spaces.yaml import SpecError


def graph(layers: str, shape: str = "[3, 8, 8]") -> Space:
    """A network of these layers over images of this shape; the layers start at line 6."""
    return from_text(f"model:\n  family: graph\n  input: {shape}\n  classes: 4\n  layers:\n{layers}\n")


def by_path(space: Space, **values: object) -> dict[str, Layer]:
    """The layers of one architecture; with no values of the largest."""
    chosen = {name.replace("__", "."): value for name, value in values.items()}
    architecture = space.architecture(chosen) if values else space.largest  # type: ignore[arg-type]
    return {layer.path: layer for layer in space.outline.layers(architecture)}


def test_layers_follow_one_another() -> None:
    """Shapes, strides, groups and names."""
    layers = by_path(
        graph(
            """
    - conv: {out: 8, kernel: 5, stride: 2, name: 1}
    - depthwise
    - {name: tail, linear: 4}
    """.replace(", name: 1", "")
        )
    )
    assert list(layers) == ["layers.0", "layers.1", "layers.tail"]
    first, second, last = layers.values()
    assert (first.c_in, first.c_out, first.kernel, first.h, first.out_h, first.norm) == (3, 8, 5, 8, 4, True)
    assert (second.c_out, second.groups, second.activation) == (8, 8, "relu")
    assert (last.inputs, last.c_out, last.out_h) == (("layers.1",), 4, 4)


def test_parameters_of_a_residual_network_by_hand() -> None:
    """stem 3 -> 8, a residual of two 3x3 convs, pool, linear."""
    space = graph("""
    - conv: 8
    - residual: [conv: 8, conv: {out: 8, activation: none}]
    - pool
    - linear: 4
    """)
    conv = 8 * 8 * 9 + 8
    assert space.size == 1
    assert space.cost([space.largest])["parameters"].tolist() == [3 * 8 * 9 + 8 + 2 * conv + 8 * 4 + 4]
    assert by_path(space)["layers.1.add"].inputs == ("layers.1.1", "layers.0")


def test_a_projection_takes_shape_and_stride_of_the_body() -> None:
    """1x1, only where it is needed."""
    needed = by_path(graph("    - residual: {layers: [conv: {out: 8, stride: 2}, conv: 8], project: true}"))
    project = needed["layers.0.project"]
    assert (project.c_in, project.c_out, project.kernel, project.stride) == (3, 8, 1, 2)
    assert needed["layers.0.add"].inputs == ("layers.0.1", "layers.0.project")
    alike = by_path(graph("    - residual: {layers: [conv: 3], project: true}", "[3, 8, 8]"))
    assert "layers.0.project" in alike  # the input's channels are not known to be 3, so it is brought there
    after = by_path(graph("    - conv: 8\n    - residual: {layers: [conv: 8], project: true}"))
    assert "layers.1.project" not in after


def test_dense_blocks_read_everything_before() -> None:
    """Channels grow by what each turn adds."""
    layers = by_path(graph("    - conv: 8\n    - dense: {times: 3, layers: [conv: 4]}"))
    assert [layers[f"layers.1.{i}.0"].c_in for i in range(3)] == [8, 12, 16]
    assert layers["layers.1.2.concat"].c_out == 20


def test_branches_are_added_or_concatenated() -> None:
    """From one input."""
    text = "    - split: {branches: {a: [conv: 8], b: [pool: {kind: max, kernel: 3, stride: 1}, conv: 8]}, merge: %s}"
    added, joined = (by_path(graph(text % merge)) for merge in ("add", "concat"))
    assert added["layers.0.add"].c_out == 8
    assert joined["layers.0.concat"].c_out == 16
    assert added["layers.0.a.0"].inputs == added["layers.0.b.0"].inputs == ("input",)


def test_attention_counts_its_tokens() -> None:
    """64 tokens of 8 features: 4 linear layers, queries by keys, weights by values."""
    space = graph("    - conv: 8\n    - tokens\n    - residual: [norm, attention: 2]\n    - first\n    - linear: 4")
    conv, linear, tokens = 3 * 8 * 9, 8 * 8, 64
    macs = conv * 64 + 4 * linear * tokens + 2 * tokens * tokens * 8 + 8 * 4
    assert space.cost([space.largest])["macs"].tolist() == [macs]
    parameters = conv + 8 + 2 * 8 + 4 * (linear + 8) + 8 * 4 + 4
    assert space.cost([space.largest])["parameters"].tolist() == [parameters]


def test_what_is_absent_passes_its_input_on() -> None:
    """A repeated residual that may not be there, and a layer with a condition."""
    space = graph("""
    - conv: {out: {choice: [8, 16]}}
    - {name: body, repeat: {choice: [0, 2]}, of: [residual: [conv: {out: {tie: layers.0.out}}]]}
    - {conv: {out: 12}, when: {layers.0.out: 16}}
    - linear: 4
    """)
    assert space.size == 4
    short = by_path(space, layers__0__out=8, layers__body=0)
    assert list(short) == ["layers.0", "layers.3"]
    assert short["layers.3"].inputs == ("layers.0",)
    assert short["layers.3"].c_in == 8
    assert by_path(space)["layers.3"].c_in == 12


def test_alternatives_are_selected() -> None:
    """The layers of the other are absent, and the next layer reads the one taken."""
    space = graph("""
    - one_of:
        plain: [conv: 8]
        deep: [conv: {out: 16, kernel: {choice: [3, 5]}}, conv: 8]
        none: []
    - linear: 4
    """)
    assert space.size == 1 + 2 + 1
    for name, path, c_in in (("plain", "layers.0.plain.0", 8), ("none", "input", 3)):
        last = by_path(space, layers__0=name)["layers.1"]
        assert (last.inputs, last.c_in) == ((path,), c_in)
    deep = space.architecture({"layers.0": "deep", "layers.0.deep.0.kernel": 5})
    assert [y.path for y in space.outline.layers(deep)] == ["layers.0.deep.0", "layers.0.deep.1", "layers.1"]


def test_tied_elements_have_layers_of_their_own() -> None:
    """Two layers, one choice."""
    space = graph("    - {repeat: 2, tied: true, of: [conv: {out: {choice: [8, 16]}}]}")
    assert [c.name for c in space.choices] == ["layers.0.each.0.out"]
    assert list(by_path(space)) == ["layers.0.0.0", "layers.0.1.0"]


def test_precision_is_a_choice_per_layer() -> None:
    """Of the file, or of one layer."""
    space = from_text(
        "precision: {choice: [float, w8a8]}\nmodel: {family: graph, layers: [conv: 4, "
        "{conv: {out: 4, precision: float}}, attention: 2, pool, linear: 10]}"
    )
    names = {c.name for c in space.choices}
    layers = {"layers.0", "layers.4", *(f"layers.2.{part}" for part in ("queries", "keys", "values", "output"))}
    assert names == {f"{layer}.precision" for layer in layers}


def test_costs_are_those_of_a_batch_alone_or_together() -> None:
    """The vectorised path, through structures."""
    space = graph("""
    - conv: {out: {choice: [8, 16]}}
    - optional: [residual: [conv: {out: {tie: layers.0.out}}]]
    - one_of: {a: [conv: 8], b: [depthwise, conv: 12]}
    - pool
    - linear: 4
    """)
    batch = space.sample_many(30, generator(0, "test"))
    together = space.cost(batch)
    for row, a in enumerate(batch):
        for name, column in space.cost([a]).items():
            assert column.tolist() == [together[name][row]]
    assert all(np.all(column > 0) for column in together.values())


@pytest.mark.parametrize(
    ("layers", "problem"),
    [
        ("    - convv: 8", "6:7: unknown layer 'convv' [unknown-name]\n  hint: did you mean 'conv'?"),
        ("    - {conv: 8, pool: max}",
         "6:7: 'space.model.layers.0' must be exactly one layer, not conv, pool [wrong-type]"),
        ("    - {name: a}", "6:7: 'space.model.layers.0' must be exactly one layer, not none [wrong-type]"),
        ("    - 3", "6:7: 'space.model.layers.0' must be a layer, not number 3 [wrong-type]"),
        ("    - conv: {kernel: 3}", "6:13: missing key 'space.model.layers.0.conv.out' [missing-key]"),
        ("    - conv: {out: 8, kernal: 3}",
         "6:22: unknown key 'space.model.layers.0.conv.kernal' [unknown-key]\n  hint: did you mean 'kernel'?"),
        ("    - {name: 3, conv: 8}", "6:14: a layer's name must be a word of letters, digits and '_' [wrong-name]"),
        ("    - split: {merge: add}", "6:14: missing key 'space.model.layers.0.split.branches' [missing-key]"),
        ("    []", "6:5: the network has no layer [wrong-type]"),
    ],
)  # fmt: skip
def test_what_is_wrong_has_place_message_and_hint(layers: str, problem: str) -> None:
    """Every message of the family."""
    message = f"space.yaml:{problem}\n1 problem; nothing was written"
    with pytest.raises(SpecError, match=rf"\A{re.escape(message)}\Z"):
        graph(layers)


@pytest.mark.parametrize(
    ("layers", "what"),
    [
        ("    - residual: [conv: {out: {choice: [3, 8]}}]", "layer layers.0.add: it adds "),
        ("    - conv: {out: 8, kernel: 9, padding: 0}", "layer layers.0: nothing is left of its input of 8x8 places"),
        ("    - conv: {out: 8, groups: 2}", "layer layers.0: 3 channels into 8 cannot be parted into 2 groups"),
        ("    - conv: 8\n    - attention: 3", "layer layers.1.mix: 8 features cannot be parted into 3 heads"),
        (
            "    - conv: 8\n    - attention: {heads: 4, kv_heads: {choice: [2, 3]}}",
            "layer layers.1.mix: 4 heads cannot share 3 heads of keys and values",
        ),
    ],
)
def test_shapes_that_do_not_fit_are_found_with_an_example(layers: str, what: str) -> None:
    """Whatever choices make them so."""
    with pytest.raises(SpecError, match=rf"{re.escape(what)}.*; for example in \{{.*\}} \[wrong-shape\]"):
        graph(layers)
