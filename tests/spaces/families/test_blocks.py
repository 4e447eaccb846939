"""What the blocks of transformers share: heads of keys and values, against what is worked out by hand."""

from __future__ import annotations

import re

import pytest

from spaces import Layer, Space, from_text
from spaces.families.gpt import POSITIONS
from spaces.outline import Outline
from spaces.yaml import SpecError
from tests.small import small
from tests.spaces.families.by_hand import Cost, attention, counted, mlp, table

TOKENS, VOCABULARY = 6, 19
GPT = f"family: gpt, tokens: {TOKENS}, vocabulary: {VOCABULARY}"


def gpt(rest: str) -> Space:
    """A language model."""
    return from_text(f"model: {{{GPT}, {rest}}}")


def layers(space: Space, **values: int) -> dict[str, Layer]:
    """By path, of the architecture with these values of ``__`` for ``.``."""
    named = {name.replace("__", "."): value for name, value in values.items()}
    return {y.path: y for y in space.outline.layers(space.architecture(named))}


# --- grouped-query attention ------------------------------------------------------------------------------------------


def test_keys_and_values_of_fewer_heads_are_narrower() -> None:
    """48 features in 8 heads of 6; so 2 heads of keys are 12 features."""
    space = gpt("embed: 48, depth: {choice: [1, 2]}, heads: 8, kv_heads: {choice: [1, 2, 8], per: block}, ffn: 64")
    assert space.size == 3 + 3**2
    values = {"depth": 2, "blocks.0.kv_heads": 2, "blocks.1.kv_heads": 8}
    expected = table(VOCABULARY * 48, TOKENS * 48, 2 * 48) + Cost(0, TOKENS * 48 * VOCABULARY)
    for narrow in (12, 48):
        expected += table(4 * 48) + attention(TOKENS, 48, 48, narrow=narrow) + mlp(TOKENS, 48, 64)
    assert counted(space, space.architecture(values)) == expected
    found = layers(space, depth=2, blocks__0__kv_heads=2, blocks__1__kv_heads=8)
    mix = found["blocks.0.attention.mix"]
    assert (mix.heads, mix.kv_heads, mix.c_in, mix.c_out) == (8, 2, 48, 48)
    assert found["blocks.1.attention.mix"].kv_heads == 0  # as many: plain attention


def test_as_many_heads_as_ever_are_the_same_space() -> None:
    """Nothing of an outline changes where nothing is written, and a tie to ``heads`` changes no layer."""
    text = "embed: 48, depth: 1, heads: {choice: [4, 8]}"
    plain, tied = gpt(text), gpt(text + ", kv_heads: {tie: heads}")
    assert plain.outline == tied.outline
    assert "kv_heads" not in str(plain.outline.to_json())


def test_largest_forms_are_those_of_the_largest_architecture() -> None:
    """More heads of queries make keys narrower: the divisor counts at its least."""
    space = small("gpt_grouped")
    assert space.extents["blocks.0.attention.keys"].c_out == 32
    found = [a for a in space.enumerate() if a["heads"] == 4 and a["blocks.0.kv_heads"] == 4 and a["embed"] == 32]
    assert {y.c_out for y in space.outline.layers(found[0]) if y.path == "blocks.0.attention.keys"} == {32}
    assert Outline.from_json(space.outline.to_json()) == space.outline


def test_heads_that_never_meet_need_not_divide() -> None:
    """3 heads of keys and values where there are 6 of queries, else 4."""
    shared = "{choice: [3, 6], when: {heads: 6}, else: 4}"
    space = gpt(f"embed: 24, depth: 1, heads: {{choice: [6, 8]}}, kv_heads: {shared}")
    assert {y.kv_heads for a in space.enumerate() for y in space.outline.layers(a) if y.kind == "attention"} == {
        0,
        3,
        4,
    }


def test_the_attention_to_the_encoder_has_its_own() -> None:
    space = small("transformer_grouped")
    assert {c.name for c in space.choices} == {
        "encoder.kv_heads", "decoder.depth",
        *(f"decoder.{i}.{key}" for i in range(2) for key in ("heads", "head_dim", "cross_kv_heads")),
    }  # fmt: skip
    values = {"encoder__kv_heads": 1, "decoder__depth": 1, "decoder__0__heads": 2, "decoder__0__cross_kv_heads": 1}
    values["decoder__0__head_dim"] = 4
    found = layers(space, **values)
    heads = {path: (y.heads, y.kv_heads) for path, y in found.items() if y.kind == "attention"}
    assert heads == {
        "encoder.0.attention.mix": (4, 1), "decoder.0.attention.mix": (2, 0), "decoder.0.cross.mix": (4, 1),
    }  # fmt: skip
    assert [found[f"decoder.0.cross.{name}"].c_out for name in ("queries", "keys", "values")] == [16, 4, 4]


# --- norms ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "norms"),
    [
        (f"{GPT}, embed: 8, depth: 2, heads: 2", 5),
        ("family: vit, input: [3, 8, 8], classes: 3, patch: 4, embed: 8, depth: 2, heads: 2", 5),
        (f"family: bert, tokens: {TOKENS}, vocabulary: {VOCABULARY}, embed: 8, depth: 2, heads: 2", 6),
    ],
)
def test_an_rms_norm_learns_a_gain_alone(text: str, norms: int) -> None:
    """8 shifts fewer for each norm; every norm of the network is one."""
    plain, rms = from_text(f"model: {{{text}, norm: layer}}"), from_text(f"model: {{{text}, norm: rms}}")
    assert counted(rms) == counted(plain) + table(-8 * norms)
    kinds = [[r.kind for r in space.outline.records] for space in (plain, rms)]
    assert [kind.replace("rms_norm", "norm") for kind in kinds[1]] == kinds[0]
    assert kinds[1].count("rms_norm") == norms


def test_each_side_of_a_transformer_has_its_norms() -> None:
    kinds = {(r.path.split(".")[0], r.kind) for r in small("transformer_grouped").outline.records if "norm" in r.kind}
    assert kinds == {("encoder", "norm"), ("decoder", "rms_norm")}


# --- positions --------------------------------------------------------------------------------------------------------


def test_only_learned_positions_are_counted() -> None:
    """6 x 8 of them; rotary ones are records of queries and keys, and of nothing else."""
    rest = "embed: 8, depth: 1, heads: 2"
    spaces = {name: gpt(f"{rest}, positions: {name}") for name in POSITIONS}
    learned = counted(gpt(rest))
    assert {name: counted(space) for name, space in spaces.items()} == {
        name: learned if name == "learned" else learned + table(-TOKENS * 8) for name in POSITIONS
    }
    kinds = {name: {r.kind for r in space.outline.records} for name, space in spaces.items()}
    assert {name: found - kinds["none"] for name, found in kinds.items()} == {
        "learned": {"position"}, "sinusoid": {"sinusoid"}, "rotary": {"rotary"}, "none": set(),
    }  # fmt: skip
    turned = [r for r in spaces["rotary"].outline.records if r.kind == "rotary"]
    assert [r.inputs for r in turned] == [("blocks.0.attention.queries",), ("blocks.0.attention.keys",)]
    mix = next(r for r in spaces["rotary"].outline.records if r.kind == "attention")
    assert mix.inputs == (*(r.path for r in turned), "blocks.0.attention.values")


# --- head width -------------------------------------------------------------------------------------------------------


def test_heads_of_a_chosen_width() -> None:
    """4 heads of 6 or 10 features, 2 of them of keys and values: 24 and 12, or 40 and 20."""
    space = gpt("embed: 16, depth: 2, heads: 4, kv_heads: 2, head_dim: {choice: [6, 10], per: block}, ffn: 32")
    found = space.architecture({"blocks.0.head_dim": 6, "blocks.1.head_dim": 10})
    expected = table(VOCABULARY * 16, TOKENS * 16, 2 * 16) + Cost(0, TOKENS * 16 * VOCABULARY)
    for width in (24, 40):
        expected += table(4 * 16) + attention(TOKENS, 16, width, narrow=width // 2) + mlp(TOKENS, 16, 32)
    assert (space.size, counted(space, found)) == (4, expected)
    assert space.extents["blocks.0.attention.keys"].c_out == 20


# --- messages ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("rest", "problem"),
    [
        (
            "embed: 24, depth: 1, heads: {choice: [4, 6]}, kv_heads: {choice: [1, 4]}",
            "space.yaml:1:105: 6 heads cannot share 4 heads of keys and values [wrong-shape]\n"
            "  hint: every number of kv_heads must divide each number of heads that it may meet",
        ),
        (
            "embed: 24, depth: 1, heads: {choice: [2, 4], when: {hads: 2}, else: 2}",
            "space.yaml:1:101: no choice 'hads' is written before this [unknown-choice]",
        ),
        (
            "embed: 24, depth: 1, heads: 4, kv_heads: two",
            "space.yaml:1:90: kv_heads must be a whole number [wrong-type]",
        ),
        (
            "embed: 24, depth: 1, heads: {choice: [4, 8]}, positions: rotary",
            "space.yaml:1:77: rotary positions turn pairs of features, and a head has 3 [wrong-shape]\n"
            "  hint: give each head an even number of features",
        ),
        (
            "embed: 24, depth: 1, heads: 4, positions: rotary, head_dim: {choice: [8, 9]}",
            "space.yaml:1:109: rotary positions turn pairs of features, and a head has 9 [wrong-shape]\n"
            "  hint: give each head an even number of features",
        ),
        (
            "embed: 24, depth: 1, heads: 4, norm: rmsnorm",
            "space.yaml:1:86: unknown name 'rmsnorm' for 'space.model.norm' [unknown-name]\n"
            "  hint: did you mean 'rms'?",
        ),
    ],
)
def test_problems(rest: str, problem: str) -> None:
    with pytest.raises(SpecError, match=re.escape(problem)) as caught:
        gpt(rest)
    assert list(map(str, caught.value.problems)) == [problem]
