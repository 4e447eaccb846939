"""From text to space: scopes, ranges and options of the convnet family, and every problem with its exact message."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import spaces
from spaces import INPUT, Choice, Chosen, Condition, Record, Space
from spaces.load import locate
from spaces.yaml import SpecError
from tests.examples import space_of

STAGE = "{depth: {choice: [1, 2]}, width: {choice: [4, 8]}, kernel: {choice: [3, 5]}}"


def names(space: Space) -> list[str]:
    """Names of all choices, in order."""
    return [c.name for c in space.choices]


def convnet(stages: str, rest: str = "") -> str:
    """A file with these stages from column 12 of line 3 on, and the rest from line 4 on."""
    return f"model:\n  family: convnet\n  stages: [{stages}]\n{rest}"


def check(text: str, *expected: str) -> None:
    """Loading gives exactly these problems, each with its place, message, code and hint."""
    count = f"{len(expected)} problem{'' if len(expected) == 1 else 's'}; nothing was written"
    message = "\n".join([*(f"space.yaml:{p}" for p in expected), count])
    with pytest.raises(SpecError, match=rf"\A{re.escape(message)}\Z"):
        space_of(text)


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
    space = space_of(convnet("{depth: {choice: [1, 3]}, width: 8, stride: 2, residual: true}"))
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
    space = space_of(convnet(f"{STAGE}, {STAGE}", f"precision: {{choice: [w8a8, float], per: {per}}}"))
    assert [n for n in names(space) if n.endswith("precision")] == expected
    for choice in space.choices:
        if choice.name in expected:
            assert choice.values == ("w8a8", "float")
            conditional = per in ("block", "layer") and ".1." in choice.name.removeprefix("stages.1")
            assert bool(choice.when) == (conditional or ".1.1." in choice.name), choice
    assert names(space_of(convnet(STAGE, "precision: {choice: [w8a8, float]}")))[-1] == "classifier.precision"


@pytest.mark.parametrize(
    ("per", "expected"),
    [
        ("", ["stages.0.kernel"]),
        (", per: stage", ["stages.0.kernel"]),
        (", per: block", ["stages.0.0.kernel", "stages.0.1.kernel", "stages.0.2.kernel"]),
    ],
)
def test_per_sets_the_scope_of_the_kernel(per: str, expected: list[str]) -> None:
    space = space_of(convnet(f"{{depth: {{choice: [1, 3]}}, kernel: {{choice: [3, 5]{per}}}}}"))
    assert names(space) == ["stages.0.depth", *expected]
    block = (Condition("stages.0.depth", (3,)),)
    assert [c.when for c in space.choices[1:]] == [(), block, block][: len(expected)]


def test_depth_makes_its_blocks_conditional_in_any_order_of_its_values() -> None:
    space = space_of(convnet("{depth: {choice: [4, 2, 3]}, kernel: {choice: [1, 3], per: block}}"))
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
    space = space_of(convnet(f"{{width: {{range: {written}}}}}"))
    assert space.choices == (Choice("stages.0.width", values),)
    assert space.outline.records[0].out == Chosen("stages.0.width")


@pytest.mark.parametrize("written", ["{choice: [5]}", "{range: [5, 5]}", "5", "{choice: [5], per: stage}"])
def test_one_value_is_no_choice(written: str) -> None:
    space = space_of(convnet(f"{{width: {written}}}"))
    assert (space.size, space.choices, space.outline.records[0].out) == (1, (), 5)


@pytest.mark.parametrize(
    "written",
    ["w4a8", "{weights: {bits: 4}, inputs: {bits: 8}}",
     "{weights: {bits: 4, granularity: channel}, inputs: {bits: 8, granularity: tensor}}"],
)  # fmt: skip
def test_a_precision_has_one_canonical_name(written: str) -> None:
    assert space_of(convnet("{}", f"precision: {written}")).outline.records[0].precision == "w4a8"


# --- what is wrong with a file ----------------------------------------------------------------------------------------

BAD_PRECISION = "a precision is a name such as w8a8, or {weights: {bits}, inputs: {bits}}"


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        # load
        (
            "name: A b\nmodel: {family: convnet, stages: [{}]}",
            "1:7: name 'A b' must be lower-case letters, digits, '.', '_' or '-' [wrong-name]",
        ),
        (
            'name: "\\e[2J"\nmodel: {family: convnet, stages: [{}]}',
            "1:7: name '\\x1b[2J' must be lower-case letters, digits, '.', '_' or '-' [wrong-name]",
        ),
        (
            "name: 3\nmodel: {family: convnet, stages: [{}]}",
            "1:7: 'space.name' must be text, not number 3 [wrong-type]",
        ),
        ("name: a", "1:1: missing key 'space.model' [missing-key]"),
        (
            "modle: {}\nmodel: {family: convnet, stages: [{}]}",
            "1:1: unknown key 'space.modle' [unknown-key]\n  hint: did you mean 'model'?",
        ),
        ("model: {stages: [{}]}", "1:8: missing key 'space.model.family' [missing-key]"),
        (
            "model: {family: convnt, stages: [{}]}",
            "1:17: unknown name 'convnt' for 'space.model.family' [unknown-name]\n  hint: did you mean 'convnet'?",
        ),
        ("model: {family: 3, stages: [{}]}", "1:17: 'space.model.family' must be text, not number 3 [wrong-type]"),
        (
            "model: {family: convnet, stages: [{}], kernal: 3}",
            "1:40: unknown key 'space.model.kernal' [unknown-key]\n"
            "  hint: known keys: family, input, classes, resolution, notation, stages",
        ),
        (
            "model: {family: convnet, stages: [{}], classes: 1}",
            "1:49: 'space.model.classes' must be at least 2, not 1 [out-of-range]",
        ),
        (
            "model: {family: convnet, stages: [{}], input: [1, 8]}",
            "1:47: input must be [channels, height, width], whole numbers from 1 [wrong-type]",
        ),
        (
            "model: {family: convnet, stages: [{}], input: [1, 8, 0]}",
            "1:47: input must be [channels, height, width], whole numbers from 1 [wrong-type]",
        ),
        (
            "model: {family: convnet, stages: [{}], input: 8}",
            "1:47: input must be [channels, height, width], whole numbers from 1 [wrong-type]",
        ),
        (
            "data: {dataset: digit}\nmodel: {family: convnet, stages: [{}]}",
            "1:17: unknown name 'digit' for 'space.data.dataset' [unknown-name]\n  hint: did you mean 'digits'?",
        ),
        (
            "data: digits\nmodel: {family: convnet, stages: [{}]}",
            "1:7: 'space.data' must be a mapping, not text 'digits' [wrong-type]",
        ),
        # convnet
        ("model: {family: convnet}", "1:8: missing key 'space.model.stages' [missing-key]"),
        ("model: {family: convnet, stages: []}", "1:34: stages must be a list of at least one stage [wrong-type]"),
        (
            "model: {family: convnet, stages: {depth: 1}}",
            "1:34: stages must be a list of at least one stage [wrong-type]",
        ),
        (convnet("3"), "3:12: 'space.model.stages.0' must be a mapping, not number 3 [wrong-type]"),
        (
            convnet("{}, {kernal: 3}"),
            "3:17: unknown key 'space.model.stages.1.kernal' [unknown-key]\n  hint: did you mean 'kernel'?",
        ),
        (
            convnet("{stride: 5}"),
            "3:21: 'space.model.stages.0.stride' must be at least 1 and at most 4, not 5 [out-of-range]",
        ),
        (
            convnet("{stride: {choice: [1, 2]}}"),
            "3:21: 'space.model.stages.0.stride' must be a whole number, not a mapping [wrong-type]",
        ),
        (
            convnet("{residual: 1}"),
            "3:23: 'space.model.stages.0.residual' must be true or false, not number 1 [wrong-type]",
        ),
        (
            convnet("{depth: {choice: [1, 2], per: block}}"),
            "3:20: depth of a convnet can be chosen per stage [wrong-scope]",
        ),
        (
            convnet("{width: {choice: [1, 2], per: network}}"),
            "3:20: width of a convnet can be chosen per stage [wrong-scope]",
        ),
        (
            convnet("{kernel: {choice: [1, 3], per: layer}}"),
            "3:21: kernel of a convnet can be chosen per stage or block [wrong-scope]",
        ),
        (
            convnet("{}", "precision: w9a8"),
            "4:12: unknown precision 'w9a8': write float, or w<bits>a<bits> such as w8a8 [unknown-name]",
        ),
        (
            convnet("{}", "precision: int8"),
            "4:12: unknown precision 'int8': write float, or w<bits>a<bits> such as w8a8 [unknown-name]",
        ),
        (convnet("{}", "precision: [w8a8]"), f"4:12: {BAD_PRECISION} [unknown-name]"),
        (convnet("{}", "precision: 8"), f"4:12: {BAD_PRECISION} [unknown-name]"),
        (
            convnet("{}", "precision: {weights: {bits: 8}}"),
            "4:12: a precision needs exactly the keys weights and inputs [unknown-name]",
        ),
        (
            convnet("{}", "precision: {weights: {bits: 9}, inputs: {bits: 8}}"),
            "4:12: weights needs bits, a whole number from 1 to 8 [unknown-name]",
        ),
        (
            convnet("{}", "precision: {weights: {bits: true}, inputs: {bits: 8}}"),
            "4:12: weights needs bits, a whole number from 1 to 8 [unknown-name]",
        ),
        (
            convnet("{}", "precision: {weights: {bits: 8}, inputs: 8}"),
            "4:12: inputs must be float, or a mapping such as {bits: 4} [unknown-name]",
        ),
        (
            convnet("{}", "precision: {weights: {bits: 8, group: 1, 7: 2}, inputs: {bits: 8}}"),
            "4:12: unknown key '7' in weights; known: bits, format, granularity, group, gradient, offset, rounding, "
            "scale, signed, symmetric [unknown-name]",
        ),
        (
            convnet("{}", "precision: {weights: {bits: 8}, inputs: {bits: 8, granularity: channel}}"),
            "4:12: granularity channel is not for the role input [wrong-granularity]\n"
            "  hint: weight: tensor, channel, group; input: tensor, group, token",
        ),
        # options
        (convnet("{depth: 1.5}"), "3:20: depth must be a whole number [wrong-type]"),
        (convnet("{depth: true}"), "3:20: depth must be a whole number [wrong-type]"),
        (convnet("{depth: {per: stage}}"), "3:20: depth must be a whole number [wrong-type]"),
        (
            convnet("{depth: {chioce: [1, 2]}}"),
            "3:21: unknown key 'space.model.stages.0.depth.chioce' [unknown-key]\n  hint: did you mean 'choice'?",
        ),
        (
            convnet("{depth: {choice: [1, 2], pre: stage}}"),
            "3:37: unknown key 'space.model.stages.0.depth.pre' [unknown-key]\n  hint: did you mean 'per'?",
        ),
        (convnet("{depth: 0}"), "3:20: depth must be a number from 1 to 1000, got 0 [out-of-range]"),
        (convnet("{depth: 100000000}"), "3:20: depth must be a number from 1 to 1000, got 100000000 [out-of-range]"),
        (
            convnet("{width: {choice: [8, 65537]}}"),
            "3:33: width must be a number from 1 to 65536, got 65537 [out-of-range]",
        ),
        (convnet("{kernel: 4}"), "3:21: kernel must be an odd number from 1 to 99, got 4 [out-of-range]"),
        (
            convnet("{kernel: {range: [3, 5]}}"),
            "3:29: kernel must be an odd number from 1 to 99, got 4 [out-of-range]",
        ),
        (convnet("{width: {choice: []}}"), "3:29: a choice needs at least one value [empty-choice]"),
        (
            convnet("{width: {choice: 8}}"),
            "3:29: a choice is a list of values [wrong-type]\n  hint: write choice: [a, b]",
        ),
        (convnet("{width: {choice: [8, [9]]}}"), "3:33: width must be a whole number [wrong-type]"),
        (
            convnet("{width: {choice: [8, 16, 8]}}"),
            "3:37: value 8 stands twice in the choice of width [duplicate-value]",
        ),
        (
            convnet("{}", "precision: {choice: [w8a8, {weights: {bits: 8}, inputs: {bits: 8}}]}"),
            "4:28: value w8a8 stands twice in the choice of precision [duplicate-value]",
        ),
        (
            convnet("{width: {choice: [8], range: [1, 2]}}"),
            "3:20: width has both a choice and a range [ambiguous]\n  hint: keep one of them",
        ),
        (
            convnet("{width: {choice: [8, 9], per: blok}}"),
            "3:42: unknown name 'blok' for 'space.model.stages.0.width.per' [unknown-name]\n"
            "  hint: did you mean 'block'?",
        ),
        (
            convnet("{width: {range: 8}}"),
            "3:28: range of width must be [from, to] or [from, to, step], whole numbers [wrong-type]",
        ),
        (
            convnet("{width: {range: [8, 16.5]}}"),
            "3:28: range of width must be [from, to] or [from, to, step], whole numbers [wrong-type]",
        ),
        (
            convnet("{width: {range: [16, 8]}}"),
            "3:28: range of width must ascend, with a step of at least 1 and at most 10000 values [out-of-range]",
        ),
        (
            convnet("{width: {range: [8, 16, 0]}}"),
            "3:28: range of width must ascend, with a step of at least 1 and at most 10000 values [out-of-range]",
        ),
        (
            convnet("{width: {range: [1, 65536]}}"),
            "3:28: range of width must ascend, with a step of at least 1 and at most 10000 values [out-of-range]",
        ),
    ],
)
def test_every_problem_has_place_message_and_code(text: str, problem: str) -> None:
    check(text, problem)


def test_a_value_that_repeats_after_a_wrong_one_is_marked_where_it_stands() -> None:
    check(
        convnet("{width: {choice: [x, 8, 9, 8]}}"),
        "3:30: width must be a whole number [wrong-type]",
        "3:39: value 8 stands twice in the choice of width [duplicate-value]",
    )


def test_all_problems_of_a_file_are_listed_at_once_in_its_order() -> None:
    check(
        "nmae: mine\n"
        "name: Mine\n"
        "data: {dataset: mnist}\n"
        "model:\n"
        "  family: convnat\n"
        "  stages:\n"
        "    - {depth: {choice: [1, 0]}, widht: 8}\n"
        "    - {kernel: 2, stride: two}\n"
        "    - 7\n"
        "  blocks: 3\n"
        "precision: {choice: [float, w8a9, w4a8, float], per: channel}\n",
        "1:1: unknown key 'space.nmae' [unknown-key]\n  hint: did you mean 'name'?",
        "2:7: name 'Mine' must be lower-case letters, digits, '.', '_' or '-' [wrong-name]",
        "3:17: unknown name 'mnist' for 'space.data.dataset' [unknown-name]\n"
        "  hint: known names: cifar10, digits, fashion_mnist, huggingface, images, super_resolution, text",
        "5:11: unknown name 'convnat' for 'space.model.family' [unknown-name]\n  hint: did you mean 'convnet'?",
        "7:28: depth must be a number from 1 to 1000, got 0 [out-of-range]",
        "7:33: unknown key 'space.model.stages.0.widht' [unknown-key]\n  hint: did you mean 'width'?",
        "8:16: kernel must be an odd number from 1 to 99, got 2 [out-of-range]",
        "8:27: 'space.model.stages.1.stride' must be a whole number, not text 'two' [wrong-type]",
        "9:7: 'space.model.stages.2' must be a mapping, not number 7 [wrong-type]",
        "10:3: unknown key 'space.model.blocks' [unknown-key]\n"
        "  hint: known keys: family, input, classes, resolution, notation, stages",
        "11:29: unknown precision 'w8a9': write float, or w<bits>a<bits> such as w8a8 [unknown-name]",
        "11:41: value float stands twice in the choice of precision [duplicate-value]",
        "11:54: unknown name 'channel' for 'space.precision.per' [unknown-name]\n"
        "  hint: known names: network, stage, block, layer",
    )


def test_a_file_that_is_no_mapping_is_refused() -> None:
    check(
        "- a",
        "1:1: 'space' must be a mapping, not a list [wrong-type]",
        "1:1: missing key 'space.model' [missing-key]",
    )


def test_a_file_without_a_model_still_hears_of_its_other_problems() -> None:
    check(
        "precision: w9a9\nname: A\n",
        "1:1: missing key 'space.model' [missing-key]",
        "1:12: unknown precision 'w9a9': write float, or w<bits>a<bits> such as w8a8 [unknown-name]",
        "2:7: name 'A' must be lower-case letters, digits, '.', '_' or '-' [wrong-name]",
    )


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
