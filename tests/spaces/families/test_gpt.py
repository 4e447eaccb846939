"""``family: gpt``: GPT-2 and TangleNAS's space against what is worked out by hand."""

from __future__ import annotations

import re

import pytest

import spaces
from spaces import INPUT, Architecture, Space, from_text
from spaces.load import ZOO
from spaces.yaml import SpecError
from tests.spaces.families.by_hand import Cost, attention, counted, linear, mlp, table

GPT2 = "family: gpt, tokens: 1024, vocabulary: 50257, embed: 768, depth: 12, heads: 12"


def expected(tokens: int, vocabulary: int, c: int, depth: int, ratio: float) -> Cost:
    """A network with a tied head: the embedding, the positions, the blocks, the norm, and MACs of the head alone."""
    found = table(vocabulary * c, tokens * c, 2 * c) + Cost(0, tokens * c * vocabulary)
    for _ in range(depth):
        found += table(2 * c) + attention(tokens, c, c) + table(2 * c) + mlp(tokens, c, int(c * ratio))
    return found


def test_gpt2_small_has_124_4_million_parameters() -> None:
    """As published (124,439,808), and the head's when it is not tied."""
    assert counted(from_text(f"model: {{{GPT2}}}")) == expected(1024, 50257, 768, 12, 4)
    assert counted(from_text(f"model: {{{GPT2}}}")).parameters == 124_439_808
    untied = counted(from_text(f"model: {{{GPT2}, tied: false}}"))
    assert untied.parameters == 124_439_808 + linear(1, 768, 50257, bias=False).parameters


def test_a_tied_head_takes_no_bytes_in_float_and_those_of_its_codes_in_8_bits() -> None:
    """The embedding itself stays float."""
    small = "model: {family: gpt, tokens: 4, vocabulary: 10, embed: 8, depth: 1, heads: 2}\n"
    float_, quantized = from_text(small), from_text(small + "precision: w8a8")
    parameters = counted(float_).parameters
    assert float_.cost([float_.largest])["size_bytes"].tolist() == [4 * parameters]
    weights = 4 * 8 * 8 + 2 * 8 * 32  # four linear layers of the attention, two of the MLP
    biases = 4 * 8 + 32 + 8
    rest = parameters - weights - biases  # embedding, positions, norms
    bytes_ = 4 * rest + weights + 8 * biases + 10 * 8 + 4 * 10  # codes; a scale and a bias per output channel
    assert quantized.cost([quantized.largest])["size_bytes"].tolist() == [bytes_]
    assert counted(quantized).parameters == parameters


def test_gpt_tangle() -> None:
    """Every network of it."""
    space = spaces.load("gpt_tangle")
    assert space.size == 3 * 3 * 3 * 3
    assert space.outline.input_shape == (1, 224, 1)
    assert space.outline.classes == 50257
    batch = list(space.enumerate())
    found = space.cost(batch)
    for a, parameters, macs in zip(batch, found["parameters"], found["macs"], strict=True):
        ratio = float(a["mlp_ratio"])
        assert expected(224, 50257, int(a["embed"]), int(a["depth"]), ratio) == Cost(int(parameters), int(macs))


def test_heads_and_mlp_per_block_as_the_file_says() -> None:
    """3 embeddings, and in each block 3 numbers of heads and 3 ratios."""
    text = (ZOO / "gpt_tangle.yaml").read_text("utf-8").replace("[6, 8, 12]}", "[6, 8, 12], per: block}")
    space = from_text(text.replace("[2, 3, 4]}", "[2, 3, 4], per: block}"))
    assert space.size == 3 * (9**5 + 9**6 + 9**7) == 16_120_377
    values = {"depth": 5, "embed": 384}
    values |= {f"blocks.{i}.{key}": v for i in range(5) for key, v in (("heads", 6), ("mlp_ratio", 2))}
    assert counted(space, space.architecture(values)) == expected(224, 50257, 384, 5, 2)


def layers(space: Space, architecture: Architecture) -> dict[str, spaces.Layer]:
    """By path."""
    return {y.path: y for y in space.outline.layers(architecture)}


def test_records() -> None:
    """Causal attention, a head without bias that shares the embedding, and depth."""
    space = from_text(
        "model: {family: gpt, tokens: 4, vocabulary: 10, embed: {choice: [8, 16]}, depth: {choice: [1, 2]}, heads: 2}"
    )
    records = {r.path: r for r in space.outline.records}
    assert records["blocks.1.attention.mix"].causal
    assert (records["head"].weight_of, records["head"].bias) == ("embedding", False)
    found = layers(space, space.architecture({"embed": 16, "depth": 1}))
    assert found["embedding"].inputs == (INPUT,)
    assert found["norm"].inputs == ("blocks.0.mlp.add",)
    assert (found["head"].c_in, found["head"].c_out, found["head"].h) == (16, 10, 4)
    assert {y.c_out for p, y in found.items() if p.endswith("add")} == {16}


@pytest.mark.parametrize(
    ("text", "problems"),
    [
        (
            "family: gpt, vocabulary: 10, embed: 8, depth: 1, heads: 1",
            ["1:8: missing key 'space.model.tokens' [missing-key]"],
        ),
        (
            "family: gpt, tokens: 0, vocabulary: 1, embed: 8, depth: 1, heads: 1",
            [
                "1:30: 'space.model.tokens' must be at least 1 and at most 1000000, not 0 [out-of-range]",
                "1:45: 'space.model.vocabulary' must be at least 2 and at most 1000000, not 1 [out-of-range]",
            ],
        ),
        (
            "family: gpt, tokens: 4, vocabulary: 10, resolution: 8, embed: 8, depth: 1, heads: 1",
            ["1:49: unknown key 'space.model.resolution' [unknown-key]"],
        ),
        (
            "family: gpt, tokens: 4, vocabulary: 10, embed: {choice: [8, 12]}, depth: 1, heads: {choice: [2, 8]}",
            ["1:92: 12 features cannot be parted into 8 heads [wrong-shape]"],
        ),
    ],
)
def test_problems(text: str, problems: list[str]) -> None:
    with pytest.raises(SpecError, match=re.escape(problems[0])) as caught:
        from_text(f"model: {{{text}}}")
    assert [str(p).splitlines()[0].split(":", 1)[1] for p in caught.value.problems] == problems
