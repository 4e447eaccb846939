"""Names of precisions and their long form: one canonical name each, and every mistake with its message."""

from __future__ import annotations

import itertools
import re
from typing import Any

import pytest

from spaces.precision import (
    ALIASES,
    FORMS,
    GRADIENTS,
    GRANULARITIES,
    LETTERS,
    OFFSETS,
    ROUNDINGS,
    SCALES,
    QuantSpec,
    Refused,
    from_mapping,
    name_of,
    parse,
    spec_of,
)


def some_specs() -> list[QuantSpec]:
    """Some of all that can be at all, of groups of 32."""
    found = []
    words = itertools.product(FORMS, range(1, 9), (True, False), GRANULARITIES, SCALES, OFFSETS, ROUNDINGS, GRADIENTS)
    for form, bits, signed, granularity, scale, offset, rounding, gradient in itertools.islice(words, 0, None, 41):
        try:
            group = 32 if granularity == "group" else 0
            found.append(QuantSpec(bits, signed, granularity, group, form, scale, offset, rounding, gradient))
        except Refused:
            continue
    return found


def test_every_spec_has_a_name_of_its_own() -> None:
    """In every role."""
    specs = some_specs()
    assert len(specs) > 300
    for role in LETTERS:
        names = [name_of(spec, role) for spec in specs]
        assert len(set(names)) == len(specs)
        assert [spec_of(name, role) for name in names] == specs


@pytest.mark.parametrize(
    ("written", "name"),
    [
        ("w8a8", "w8a8"), ("w8/a8", "w8a8"), ("w4-channel-int/a8-tensor", "w4a8"), ("float/float", "float"),
        ("w4-asymmetric/a8-symmetric", "w4-asymmetric/a8-symmetric"), ("w2-unsigned-asymmetric/a8", "w2-asymmetric/a8"),
        ("w4-mxfp4/float", "w4-e2m1-group32-mx/float"), ("w1/a8", "w1a8"), ("w4-eqnet2.4/a8", "w4-eqnet/a8"),
        ("w4-lp3.0/a8", "w4-lp3/a8"), ("w4/a4-lsqplus-clipped", "w4/a4-lsqplus"),
    ],
)  # fmt: skip
def test_words_are_understood_in_any_order_and_defaults_left_out(written: str, name: str) -> None:
    assert parse(written).name == name
    assert parse(name) == parse(written)


def test_the_defaults_are_those_of_integer_kernels() -> None:
    assert parse("w4a8").weight == QuantSpec(4, True, "channel")
    assert parse("w4a8").input == QuantSpec(8, False, "tensor")
    assert [parse(n).integer for n in ("w4a8", "w2a3", "w4-tensor-lsq/a8", "w2-ternary/a8")] == [True] * 4
    others = ("float", "w4-asymmetric/a8", "w4/a8-token", "w4-group32/a8", "w1a8", "float/a8", "w8/float", "w8/a8-real")
    assert not any(parse(name).integer for name in others)
    assert [parse(n).quantized for n in ("float", "float/a8", "w8/float")] == [False, True, True]


@pytest.mark.parametrize(
    ("mapping", "name"),
    [
        ({"weights": {"bits": 4, "symmetric": False}, "inputs": {"bits": 8}}, "w4-asymmetric/a8"),
        ({"weights": {"bits": 4, "granularity": "tensor"}, "inputs": {"bits": 8, "symmetric": True}},
         "w4-tensor/a8-symmetric"),
        ({"weights": {"format": "mxfp4"}, "inputs": "float"}, "w4-e2m1-group32-mx/float"),
        ({"weights": {"format": "e4m3", "scale": "absmax"}, "inputs": {"bits": 8}}, "w8-e4m3-absmax/a8"),
        ({"weights": {"bits": 4, "group": 64, "offset": "integer"}, "inputs": {"bits": 8, "granularity": "token"}},
         "w4-asymmetric-group64/a8-token"),
        ({"weights": {"bits": 4, "granularity": "group", "group": 64}, "inputs": {"bits": 8}}, "w4-group64/a8"),
        ({"weights": {"bits": 1, "scale": "mean", "gradient": "reste2"}, "inputs": {"bits": 4, "scale": "lsqplus"}},
         "w1-mean-reste2/a4-lsqplus"),
        ({"weights": {"bits": 8, "rounding": "stochastic"}, "inputs": {"bits": 8, "signed": True, "symmetric": True}},
         "w8-stochastic/a8-symmetric"),
        ({"weights": {"bits": 4, "scale": "eqnet", "offset": "real"}, "inputs": {"bits": 8}}, "w4-real-eqnet/a8"),
    ],
)  # fmt: skip
def test_the_long_form_says_the_same(mapping: dict[str, Any], name: str) -> None:
    assert from_mapping(mapping) == name


def test_words_for_several_words_are_words() -> None:
    for alias, words in ALIASES.items():
        bits = FORMS[words[0]].bits[0]
        assert spec_of(f"w{bits}-{alias}", "weight") == spec_of("-".join([f"w{bits}", *words]), "weight")


# --- mistakes ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("int8", "unknown precision 'int8': write float, or w<bits>a<bits> such as w8a8 [unknown-name]"),
        ("w4-chanel/a8", "unknown word 'chanel' [unknown-name]\n  hint: did you mean 'channel'?"),
        ("w4-tensor-channel/a8",
         "'w4-tensor-channel' says its granularity twice, as 'tensor' and 'channel' [said-twice]"),
        ("w4-group/a8", "granularity group needs its size [wrong-group]\n  hint: write group64 for groups of 64"),
        ("w4-tensor64/a8", "tensor has no group size [wrong-group]\n  hint: write group64 for groups of 64"),
        ("w4-e4m3/a8", "number format e4m3 has 8 bits, not 4 [wrong-bits]"),
        ("w1-int/a8", "signed integers of 1 bit have only the level 0 [wrong-bits]\n"
         "  hint: use binary (levels -1 and 1), midrise, or 2 bits"),
        ("w4-e2m1-unsigned/a8",
         "number format e2m1 is signed [wrong-sign]\n  hint: leave 'unsigned' out, or use int"),
        ("w4-e2m1-asymmetric/a8", "number format e2m1 cannot be asymmetric [wrong-offset]\n  hint: write symmetric"),
        ("w4-absmax-asymmetric/a8",
         "scale rule absmax is symmetric only [wrong-offset]\n  hint: write symmetric, or minmax"),
        ("w4-minmax-symmetric/a8",
         "scale rule minmax is asymmetric only [wrong-offset]\n  hint: write asymmetric, or absmax"),
        ("w4-median/a8",
         "scale rule median is for levels -1, 0, 1 only [wrong-scale]\n  hint: use absmax, lp or statsq"),
        ("w4-reste/a8", "gradient reste estimates a sign, and int is none [wrong-gradient]"),
        ("w4-geometric/a8", "rounding geometric is for pow2 only, not int [wrong-rounding]"),
        ("w4-absmax2/a8", "scale rule absmax takes no number, got 'absmax2' [unknown-name]\n  hint: write absmax"),
        ("w4-percentile20/a8", "the number of scale rule percentile is from 50 to 100, not 20 [out-of-range]"),
        ("w4-e2m1-mx/a8", "scale rule mx needs groups [wrong-group]\n  hint: write group32 for groups of 32"),
    ],
)  # fmt: skip
def test_every_wrong_name_is_refused_with_a_reason(name: str, message: str) -> None:
    with pytest.raises(Refused, match=rf"\A{re.escape(message)}\Z"):
        parse(name)


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        ({"bits": 4, "symmetric": "yes"}, "symmetric in weights must be true or false [wrong-type]"),
        ({"bits": 4, "offset": "half"}, "offset in weights must be none or integer or real [wrong-type]"),
        ({"bits": 4, "scale": 3}, "scale in weights must be a name [wrong-type]"),
        ({"bits": 4, "group": "big"}, "group in weights must be a whole number [wrong-type]"),
        ({"format": "int"}, "weights needs bits, a whole number from 1 to 8 [unknown-name]"),
        (None, "weights must be float, or a mapping such as {bits: 4} [unknown-name]"),
    ],
)
def test_every_wrong_key_is_refused_with_a_reason(weights: object, message: str) -> None:
    with pytest.raises(Refused, match=rf"\A{re.escape(message)}\Z"):
        from_mapping({"weights": weights, "inputs": {"bits": 8}})


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("granularity", "row", "unknown granularity 'row' [unknown-name]\n"
         "  hint: known: channel, group, head, tensor, token"),
        ("offset", "reel", "unknown offset 'reel' [unknown-name]\n  hint: did you mean 'real'?"),
        ("scale", "absmx", "unknown scale rule 'absmx' [unknown-name]\n  hint: did you mean 'absmax'?"),
        ("form", "e4m4", "unknown number format 'e4m4' [unknown-name]\n  hint: did you mean 'e4m3'?"),
    ],
)  # fmt: skip
def test_a_spec_made_by_hand_is_checked_too(field: str, value: str, message: str) -> None:
    with pytest.raises(Refused, match=rf"\A{re.escape(message)}\Z"):
        QuantSpec(**{"bits": 8, "signed": True, "granularity": "channel", field: value})
