"""Every problem of a file, with its exact message."""

from __future__ import annotations

import re

import pytest

from spaces.yaml import SpecError
from tests.examples import convnet_text, space_of


def check(text: str, *expected: str) -> None:
    """Loading gives exactly these problems, each with its place, message, code and hint."""
    count = f"{len(expected)} problem{'' if len(expected) == 1 else 's'}; nothing was written"
    message = "\n".join([*(f"space.yaml:{p}" for p in expected), count])
    with pytest.raises(SpecError, match=rf"\A{re.escape(message)}\Z"):
        space_of(text)


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
        (convnet_text("3"), "3:12: 'space.model.stages.0' must be a mapping, not number 3 [wrong-type]"),
        (
            convnet_text("{}, {kernal: 3}"),
            "3:17: unknown key 'space.model.stages.1.kernal' [unknown-key]\n  hint: did you mean 'kernel'?",
        ),
        (
            convnet_text("{stride: 5}"),
            "3:21: 'space.model.stages.0.stride' must be at least 1 and at most 4, not 5 [out-of-range]",
        ),
        (
            convnet_text("{stride: {choice: [1, 2]}}"),
            "3:21: 'space.model.stages.0.stride' must be a whole number, not a mapping [wrong-type]",
        ),
        (
            convnet_text("{residual: 1}"),
            "3:23: 'space.model.stages.0.residual' must be true or false, not number 1 [wrong-type]",
        ),
        (
            convnet_text("{depth: {choice: [1, 2], per: block}}"),
            "3:20: depth of a convnet can be chosen per stage [wrong-scope]",
        ),
        (
            convnet_text("{width: {choice: [1, 2], per: network}}"),
            "3:20: width of a convnet can be chosen per stage [wrong-scope]",
        ),
        (
            convnet_text("{kernel: {choice: [1, 3], per: layer}}"),
            "3:21: kernel of a convnet can be chosen per stage or block [wrong-scope]",
        ),
        (
            convnet_text("{}", "precision: w9a8"),
            "4:12: unknown precision 'w9a8': write float, or w<bits>a<bits> such as w8a8 [unknown-name]",
        ),
        (
            convnet_text("{}", "precision: int8"),
            "4:12: unknown precision 'int8': write float, or w<bits>a<bits> such as w8a8 [unknown-name]",
        ),
        (convnet_text("{}", "precision: [w8a8]"), f"4:12: {BAD_PRECISION} [unknown-name]"),
        (convnet_text("{}", "precision: 8"), f"4:12: {BAD_PRECISION} [unknown-name]"),
        (
            convnet_text("{}", "precision: {weights: {bits: 8}}"),
            "4:12: a precision needs exactly the keys weights and inputs [unknown-name]",
        ),
        (
            convnet_text("{}", "precision: {weights: {bits: 9}, inputs: {bits: 8}}"),
            "4:12: weights needs bits, a whole number from 1 to 8 [unknown-name]",
        ),
        (
            convnet_text("{}", "precision: {weights: {bits: true}, inputs: {bits: 8}}"),
            "4:12: weights needs bits, a whole number from 1 to 8 [unknown-name]",
        ),
        (
            convnet_text("{}", "precision: {weights: {bits: 8}, inputs: 8}"),
            "4:12: inputs must be float, or a mapping such as {bits: 4} [unknown-name]",
        ),
        (
            convnet_text("{}", "precision: {weights: {bits: 8, group: 1, 7: 2}, inputs: {bits: 8}}"),
            "4:12: unknown key '7' in weights; known: bits, format, granularity, group, gradient, offset, rounding, "
            "scale, signed, symmetric [unknown-name]",
        ),
        (
            convnet_text("{}", "precision: {weights: {bits: 8}, inputs: {bits: 8, granularity: channel}}"),
            "4:12: granularity channel is not for the role input [wrong-granularity]\n"
            "  hint: weight: tensor, channel, group; input: tensor, group, token",
        ),
        # options
        (convnet_text("{depth: 1.5}"), "3:20: depth must be a whole number [wrong-type]"),
        (convnet_text("{depth: true}"), "3:20: depth must be a whole number [wrong-type]"),
        (convnet_text("{depth: {per: stage}}"), "3:20: depth must be a whole number [wrong-type]"),
        (
            convnet_text("{depth: {chioce: [1, 2]}}"),
            "3:21: unknown key 'space.model.stages.0.depth.chioce' [unknown-key]\n  hint: did you mean 'choice'?",
        ),
        (
            convnet_text("{depth: {choice: [1, 2], pre: stage}}"),
            "3:37: unknown key 'space.model.stages.0.depth.pre' [unknown-key]\n  hint: did you mean 'per'?",
        ),
        (convnet_text("{depth: 0}"), "3:20: depth must be a number from 1 to 1000, got 0 [out-of-range]"),
        (
            convnet_text("{depth: 100000000}"),
            "3:20: depth must be a number from 1 to 1000, got 100000000 [out-of-range]",
        ),
        (
            convnet_text("{width: {choice: [8, 65537]}}"),
            "3:33: width must be a number from 1 to 65536, got 65537 [out-of-range]",
        ),
        (convnet_text("{kernel: 4}"), "3:21: kernel must be an odd number from 1 to 99, got 4 [out-of-range]"),
        (
            convnet_text("{kernel: {range: [3, 5]}}"),
            "3:29: kernel must be an odd number from 1 to 99, got 4 [out-of-range]",
        ),
        (convnet_text("{width: {choice: []}}"), "3:29: a choice needs at least one value [empty-choice]"),
        (
            convnet_text("{width: {choice: 8}}"),
            "3:29: a choice is a list of values [wrong-type]\n  hint: write choice: [a, b]",
        ),
        (convnet_text("{width: {choice: [8, [9]]}}"), "3:33: width must be a whole number [wrong-type]"),
        (
            convnet_text("{width: {choice: [8, 16, 8]}}"),
            "3:37: value 8 stands twice in the choice of width [duplicate-value]",
        ),
        (
            convnet_text("{}", "precision: {choice: [w8a8, {weights: {bits: 8}, inputs: {bits: 8}}]}"),
            "4:28: value w8a8 stands twice in the choice of precision [duplicate-value]",
        ),
        (
            convnet_text("{width: {choice: [8], range: [1, 2]}}"),
            "3:20: width has both a choice and a range [ambiguous]\n  hint: keep one of them",
        ),
        (
            convnet_text("{width: {choice: [8, 9], per: blok}}"),
            "3:42: unknown name 'blok' for 'space.model.stages.0.width.per' [unknown-name]\n"
            "  hint: did you mean 'block'?",
        ),
        (
            convnet_text("{width: {range: 8}}"),
            "3:28: range of width must be [from, to] or [from, to, step], whole numbers [wrong-type]",
        ),
        (
            convnet_text("{width: {range: [8, 16.5]}}"),
            "3:28: range of width must be [from, to] or [from, to, step], whole numbers [wrong-type]",
        ),
        (
            convnet_text("{width: {range: [16, 8]}}"),
            "3:28: range of width must ascend, with a step of at least 1 and at most 10000 values [out-of-range]",
        ),
        (
            convnet_text("{width: {range: [8, 16, 0]}}"),
            "3:28: range of width must ascend, with a step of at least 1 and at most 10000 values [out-of-range]",
        ),
        (
            convnet_text("{width: {range: [1, 65536]}}"),
            "3:28: range of width must ascend, with a step of at least 1 and at most 10000 values [out-of-range]",
        ),
    ],
)
def test_every_problem_has_place_message_and_code(text: str, problem: str) -> None:
    check(text, problem)


def test_a_value_that_repeats_after_a_wrong_one_is_marked_where_it_stands() -> None:
    check(
        convnet_text("{width: {choice: [x, 8, 9, 8]}}"),
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
