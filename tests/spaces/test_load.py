"""From text to space: scopes, ranges and options of the convnet family."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import spaces
from spaces import INPUT, Choice, Chosen, Condition, Record, Space
from spaces.load import locate
from spaces.yaml import SpecError
from tests.examples import convnet_text, space_of

STAGE = "{depth: {choice: [1, 2]}, width: {choice: [4, 8]}, kernel: {choice: [3, 5]}}"


def names(space: Space) -> list[str]:
    """Names of all choices, in order."""
    return [c.name for c in space.choices]


# --- what a file means ------------------------------------------------------------------------------------------------


def test_the_smallest_file_is_a_fixed_float_network() -> None:
    space = space_of("model: {family: convnet, stages: [{}]}")
    assert space.choices == ()
    assert space.outline.records == (
        Record("stages.0.0.conv", "conv", (INPUT,), out=16, kernel=3, norm=True, activation="relu"),
        Record("pool", "pool", ("stages.0.0.conv",)),
        Record("classifier", "linear", ("pool",), out=10),
    )
    assert (space.outline.input_shape, space.outline.classes) == ((1, 8, 8), 10)  # digits by default


def test_a_fashion_mnist_convnet_takes_the_shape_of_its_data() -> None:
    text = "data: {dataset: fashion_mnist}\nmodel: {family: convnet, stages: [{width: 8, stride: 2}, {width: 9}]}"
    space = space_of(text)
    assert (space.outline.input_shape, space.outline.classes) == ((1, 28, 28), 10)
    layers = space.outline.layers(space.largest)
    assert [(y.path, y.c_in, y.c_out, y.h, y.stride) for y in layers] == [
        ("stages.0.0.conv", 1, 8, 28, 2),
        ("stages.1.0.conv", 8, 9, 14, 1),
        ("pool", 9, 9, 14, 1),
        ("classifier", 9, 10, 1, 1),
    ]


def test_input_and_classes_may_be_written_for_data_of_any_name() -> None:
    text = "data: {dataset: mine}\nmodel: {family: convnet, input: [3, 5, 7], classes: 4, stages: [{}]}"
    space = space_of(text)
    assert (space.outline.input_shape, space.outline.classes) == ((3, 5, 7), 4)
    overridden = space_of("model: {family: convnet, classes: 4, stages: [{}]}")
    assert (overridden.outline.input_shape, overridden.outline.classes) == ((1, 8, 8), 4)


def test_a_residual_convnet_adds_in_every_block_but_the_first() -> None:
    space = space_of(convnet_text("{depth: {choice: [1, 3]}, width: 8, stride: 2, residual: true}"))
    when = (Condition("stages.0.depth", (3,)),)
    conv = {"kind": "conv", "out": 8, "kernel": 3, "norm": True, "exists_when": when}
    assert space.outline.records[:5] == (
        Record("stages.0.0.conv", "conv", (INPUT,), 8, 3, 2, True, "relu"),
        Record("stages.0.1.conv", inputs=("stages.0.0.conv",), **conv),  # type: ignore[arg-type]
        Record("stages.0.1.add", "add", ("stages.0.1.conv", "stages.0.0.conv"), activation="relu", exists_when=when),
        Record("stages.0.2.conv", inputs=("stages.0.1.add",), **conv),  # type: ignore[arg-type]
        Record("stages.0.2.add", "add", ("stages.0.2.conv", "stages.0.1.add"), activation="relu", exists_when=when),
    )
    assert space.choices == (Choice("stages.0.depth", (1, 3)),)


@pytest.mark.parametrize(
    ("per", "expected"),
    [
        ("network", ["precision"]),
        ("stage", ["stages.0.precision", "stages.1.precision", "classifier.precision"]),
        (
            "block",
            ["stages.0.0.precision", "stages.0.1.precision", "stages.1.0.precision", "stages.1.1.precision",
             "classifier.precision"],
        ),
        (
            "layer",
            ["stages.0.0.conv.precision", "stages.0.1.conv.precision", "stages.1.0.conv.precision",
             "stages.1.1.conv.precision", "classifier.precision"],
        ),
    ],
)  # fmt: skip
def test_per_sets_the_scope_of_precision(per: str, expected: list[str]) -> None:
    space = space_of(convnet_text(f"{STAGE}, {STAGE}", f"precision: {{choice: [w8a8, float], per: {per}}}"))
    assert [n for n in names(space) if n.endswith("precision")] == expected
    for choice in space.choices:
        if choice.name in expected:
            assert choice.values == ("w8a8", "float")
            conditional = per in ("block", "layer") and ".1." in choice.name.removeprefix("stages.1")
            assert bool(choice.when) == (conditional or ".1.1." in choice.name), choice
    assert names(space_of(convnet_text(STAGE, "precision: {choice: [w8a8, float]}")))[-1] == "classifier.precision"


@pytest.mark.parametrize(
    ("per", "expected"),
    [
        ("", ["stages.0.kernel"]),
        (", per: stage", ["stages.0.kernel"]),
        (", per: block", ["stages.0.0.kernel", "stages.0.1.kernel", "stages.0.2.kernel"]),
    ],
)
def test_per_sets_the_scope_of_the_kernel(per: str, expected: list[str]) -> None:
    space = space_of(convnet_text(f"{{depth: {{choice: [1, 3]}}, kernel: {{choice: [3, 5]{per}}}}}"))
    assert names(space) == ["stages.0.depth", *expected]
    block = (Condition("stages.0.depth", (3,)),)
    assert [c.when for c in space.choices[1:]] == [(), block, block][: len(expected)]


def test_depth_makes_its_blocks_conditional_in_any_order_of_its_values() -> None:
    space = space_of(convnet_text("{depth: {choice: [4, 2, 3]}, kernel: {choice: [1, 3], per: block}}"))
    assert [c.when for c in space.choices] == [
        (),
        (),
        (),
        (Condition("stages.0.depth", (4, 3)),),
        (Condition("stages.0.depth", (4,)),),
    ]
    assert space.size == 2**2 + 2**3 + 2**4


@pytest.mark.parametrize(
    ("written", "values"),
    [
        ("[2, 5]", (2, 3, 4, 5)),
        ("[8, 32, 8]", (8, 16, 24, 32)),
        ("[8, 30, 8]", (8, 16, 24)),
    ],
)
def test_a_range_is_a_choice_of_its_steps(written: str, values: tuple[int, ...]) -> None:
    space = space_of(convnet_text(f"{{width: {{range: {written}}}}}"))
    assert space.choices == (Choice("stages.0.width", values),)
    assert space.outline.records[0].out == Chosen("stages.0.width")


@pytest.mark.parametrize("written", ["{choice: [5]}", "{range: [5, 5]}", "5", "{choice: [5], per: stage}"])
def test_one_value_is_no_choice(written: str) -> None:
    space = space_of(convnet_text(f"{{width: {written}}}"))
    assert (space.size, space.choices, space.outline.records[0].out) == (1, (), 5)


@pytest.mark.parametrize(
    "written",
    ["w4a8", "{weights: {bits: 4}, inputs: {bits: 8}}",
     "{weights: {bits: 4, granularity: channel}, inputs: {bits: 8, granularity: tensor}}"],
)  # fmt: skip
def test_a_precision_has_one_canonical_name(written: str) -> None:
    assert space_of(convnet_text("{}", f"precision: {written}")).outline.records[0].precision == "w4a8"


# --- files and the zoo ------------------------------------------------------------------------------------------------


def test_files_and_zoo_names_load(tmp_path: Path) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text("model: {family: convnet, stages: [{width: {choice: [4, 8]}}]}", encoding="utf-8")
    space = spaces.load(file)
    assert (space.name, space.size, space.digest) == ("mine", 2, spaces.load(str(file)).digest)
    assert "digits" in spaces.zoo()
    assert locate("digits").name == "digits.yaml"
    for name in spaces.zoo():
        assert spaces.load(name).name == name


@pytest.mark.parametrize(
    ("name", "hint"),
    [("digit", "did you mean 'digits'?"), ("imagenet", f"the zoo has: {', '.join(spaces.zoo())}")],
)
def test_an_unknown_zoo_name_brings_the_nearest(name: str, hint: str) -> None:
    what = f"{name}:1:1: no file and no zoo space of the name '{name}' [missing-file]\n  hint: {hint}\n"
    with pytest.raises(SpecError, match=rf"\A{re.escape(what + '1 problem; nothing was written')}\Z"):
        spaces.load(name)


@pytest.mark.parametrize(
    ("file", "name"),
    [("My Space (2).yaml", "my-space-2"), ("Ünï.yaml", "n"), ("(.yaml", "space"), ("a.b_C.yml", "a.b_c")],
)
def test_a_file_of_any_name_names_its_space(tmp_path: Path, file: str, name: str) -> None:
    """Unless it says a name itself."""
    (tmp_path / file).write_text("model: {family: convnet, stages: [{width: 8}]}", encoding="utf-8")
    assert spaces.load(tmp_path / file).name == name


@pytest.mark.parametrize("source", ["digits.yaml", "spaces/zoo/digits.yaml", "zoo/digits"])
def test_a_missing_file_of_a_zoo_name_is_told_of_the_zoo(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, source: str
) -> None:
    """It need not be looked for."""
    monkeypatch.chdir(tmp_path)
    what = f"{source}:1:1: no such file: '{Path(source).name}' [missing-file]"
    message = f"{what}\n  hint: the zoo has a space of this name: write digits\n1 problem; nothing was written"
    with pytest.raises(SpecError, match=rf"\A{re.escape(message)}\Z"):
        spaces.load(source)


def test_a_missing_file_brings_the_nearest(tmp_path: Path) -> None:
    (tmp_path / "space.yaml").write_text("", encoding="utf-8")
    what = f"{tmp_path}/spcae.yaml:1:1: no such file: 'spcae.yaml' [missing-file]\n  hint: did you mean 'space.yaml'?\n"
    with pytest.raises(SpecError, match=rf"\A{re.escape(what + '1 problem; nothing was written')}\Z"):
        spaces.load(tmp_path / "spcae.yaml")
