"""``family: bert``: BERT-base and the space of MoS against what is worked out by hand."""

from __future__ import annotations

import pytest

import spaces
from spaces import Architecture, from_text
from spaces.load import ZOO
from spaces.randomness import generator
from spaces.yaml import SpecError
from tests.spaces.families.by_hand import Cost, attention, counted, linear, mlp, table

TOKENS, WORDS = 512, 30522


def frame(c: int) -> Cost:
    """All but the blocks: embedding, positions, norm, and the head, whose last layer has a bias of its own."""
    head = linear(TOKENS, c, c) + table(2 * c) + Cost(WORDS, TOKENS * c * WORDS)
    return table(WORDS * c, TOKENS * c, 2 * c) + head


def block(c: int, ffn: int) -> Cost:
    """Attention, norm, MLP, norm."""
    return attention(TOKENS, c, c) + table(2 * c) + mlp(TOKENS, c, ffn) + table(2 * c)


def test_bert_base_has_109_5_million_parameters() -> None:
    """The published masked language model has 109,514,298, of them 2 x 768 of the segments, which are left out here."""
    space = from_text(
        f"model: {{family: bert, tokens: {TOKENS}, vocabulary: {WORDS}, embed: 768, depth: 12, heads: 12}}"
    )
    expected = frame(768)
    for _ in range(12):
        expected += block(768, 3072)
    assert counted(space) == expected
    assert expected.parameters == 109_514_298 - 2 * 768


def elastic(a: Architecture) -> Cost:
    """A network of the space bert_mos."""
    expected = frame(768)
    for i in range(12):
        hidden = int(a[f"blocks.{i}.hidden"])
        expected += linear(TOKENS, 768, hidden) + block(hidden, int(a[f"blocks.{i}.ffn"])) + linear(TOKENS, hidden, 768)
    return expected


def test_bert_mos() -> None:
    """Size and costs; every hidden size can be parted into the heads."""
    space = spaces.load("bert_mos")
    assert space.size == (7 * 4) ** 12 == 232_218_265_089_212_416
    for a in space.sample_many(12, generator(0, "test")):
        assert counted(space, a) == elastic(a)
    hidden = {v for c in space.choices if c.name.endswith("hidden") for v in c.values}
    assert {int(v) % 12 for v in hidden} == {0}


def test_elastic_heads_as_the_file_says() -> None:
    """The divisors of all hidden sizes; 8 heads do not part 540 features."""
    text = (ZOO / "bert_mos.yaml").read_text("utf-8")
    space = from_text(text.replace("heads: 12\n", "heads: {choice: [2, 3, 4, 6, 12], per: block}\n"))
    assert space.size == (7 * 4 * 5) ** 12
    with pytest.raises(SpecError, match="540 features cannot be parted into 8 heads"):
        from_text(text.replace("heads: 12\n", "heads: {choice: [2, 8], per: block}\n"))


def test_hidden_size_of_the_whole_network() -> None:
    """One width of the residual stream, and the head's follows."""
    space = from_text(
        "model: {family: bert, tokens: 512, vocabulary: 30522, embed: {choice: [120, 240]}, depth: {choice: [1, 2]}, "
        "heads: 12, ffn: {choice: [512, 1024], per: block}}"
    )
    assert [c.name for c in space.choices] == ["embed", "depth", "blocks.0.ffn", "blocks.1.ffn"]
    assert space.size == 2 * (2 + 4)
    small = space.architecture({"embed": 240, "depth": 1, "blocks.0.ffn": 512})
    assert counted(space, small) == frame(240) + block(240, 512)
    with pytest.raises(ValueError, match=r"choice blocks\.1\.ffn is absent here"):
        space.architecture({"embed": 240, "depth": 1, "blocks.0.ffn": 512, "blocks.1.ffn": 512})


def test_norms_stand_after_the_adds() -> None:
    space = from_text("model: {family: bert, tokens: 4, vocabulary: 9, embed: 8, depth: 1, heads: 2}")
    layers = {y.path: y for y in space.outline.layers(space.largest)}
    assert layers["blocks.0.attention.queries"].inputs == ("norm",)
    assert layers["blocks.0.attention.norm"].inputs == ("blocks.0.attention.add",)
    assert layers["blocks.0.mlp.up"].inputs == ("blocks.0.attention.norm",)
    assert layers["head.transform"].inputs == ("blocks.0.mlp.norm",)
    assert not any(r.causal for r in space.outline.records)


def test_a_hidden_size_that_cannot_be_parted_into_the_heads() -> None:
    """Named with the place of the heads."""
    with pytest.raises(SpecError, match=r":1:76: 8 features cannot be parted into 3 heads \[wrong-shape\]"):
        from_text(
            "model: {family: bert, tokens: 4, vocabulary: 9, embed: 9, depth: 1, heads: 3, "
            "hidden: {choice: [6, 8], per: block}}"
        )
