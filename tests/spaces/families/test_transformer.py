"""``family: transformer``: HAT's space against what is worked out by hand."""

from __future__ import annotations

import re

import pytest

import spaces
from spaces import INPUT, Architecture, Layer, Space, from_text
from spaces.randomness import generator
from spaces.yaml import SpecError
from tests.spaces.families.by_hand import Cost, attention, counted, mlp, table

TOKENS, WORDS, ATTENDED = 30, 32768, 512

SMALL = """
model:
  family: transformer
  tokens: 4
  vocabulary: 9
  encoder: {depth: 3, embed: 8, heads: 2, ffn: 16}
  decoder: {depth: {choice: [1, 2]}, embed: 12, heads: 2, cross_heads: 4, ffn: 16, cross_reach: REACH}
"""


def translator(a: Architecture) -> Cost:
    """A network of the spaces hat and hat_transformer."""
    source, target = int(a["encoder.embed"]), int(a["decoder.embed"])
    found = table(WORDS * source, WORDS * target) + Cost(0, TOKENS * target * WORDS)
    for i in range(6):
        found += attention(TOKENS, source, ATTENDED) + mlp(TOKENS, source, int(a[f"encoder.{i}.ffn"]))
        found += table(2 * source, 2 * source)
    for i in range(int(a["decoder.depth"])):
        reached = {-1: 1, 1: 2, 2: 3}[int(a[f"decoder.{i}.cross_reach"])]
        found += attention(TOKENS, target, ATTENDED) + mlp(TOKENS, target, int(a[f"decoder.{i}.ffn"]))
        found += attention(TOKENS, target, ATTENDED, memory=reached * TOKENS, c_memory=source)
        found += table(2 * target, 2 * target, 2 * target)
    return found


@pytest.mark.parametrize(
    ("name", "encoder", "decoder", "size"),
    [
        ("hat_transformer", 3 * 2, 3 * 2 * 2 * 3, 417_846_678_672_384),
        ("hat", 4 * 3, 4 * 3 * 3 * 3, 19_130_661_104_239_706_112),
    ],
)
def test_spaces_of_hat(name: str, encoder: int, decoder: int, size: int) -> None:
    """Size and costs: values of one layer of each side, two embeddings each, 1 to 6 layers of the decoder."""
    space = spaces.load(name)
    assert space.size == 2 * encoder**6 * 2 * sum(decoder**depth for depth in range(1, 7)) == size
    assert space.outline.input_shape == (2, 30, 1)
    for a in [*space.sample_many(20, generator(0, "test"), by_choice=True), space.largest]:
        assert counted(space, a) == translator(a)


def layers(space: Space, **values: int) -> dict[str, Layer]:
    """By path."""
    named = {name.replace("__", "."): value for name, value in values.items()}
    return {y.path: y for y in space.outline.layers(space.architecture(named))}


def test_the_decoder_attends_to_the_last_blocks_of_the_encoder() -> None:
    """Their tokens one after the other, the last block's first."""
    space = from_text(SMALL.replace("REACH", "{choice: [-1, 1, 2], per: block}"))
    ends = [f"encoder.{i}.mlp.norm" for i in range(3)]
    found = layers(space, decoder__depth=2, decoder__0__cross_reach=2, decoder__1__cross_reach=-1)
    assert found["decoder.0.last3"].inputs == (ends[2], ends[1], ends[0])
    assert found["decoder.0.last3"].out_h == 12
    assert found["decoder.0.cross.keys"].inputs == found["decoder.0.cross.values"].inputs == ("decoder.0.last3",)
    assert found["decoder.0.cross.queries"].inputs == ("decoder.0.attention.norm",)
    assert found["decoder.1.cross.keys"].inputs == (ends[2],)
    assert not any(path.startswith(("decoder.0.last2", "decoder.1.last")) for path in found)
    two = layers(space, decoder__depth=1, decoder__0__cross_reach=1)
    assert two["decoder.0.last2"].inputs == (ends[2], ends[1])
    assert two["decoder.0.cross.keys"].h == 8
    assert two["decoder.0.cross.mix"].heads == 4


@pytest.mark.parametrize(("reach", "tokens"), [("-1", 4), ("1", 8), ("2", 12)])
def test_a_fixed_reach(reach: str, tokens: int) -> None:
    found = layers(from_text(SMALL.replace("REACH", reach)), decoder__depth=2)
    assert {found[f"decoder.{i}.cross.keys"].h for i in (0, 1)} == {tokens}


def test_a_reach_of_the_decoder_is_one_choice() -> None:
    space = from_text(SMALL.replace("REACH", "{choice: [1, 2]}"))
    assert [c.name for c in space.choices] == ["decoder.depth", "decoder.cross_reach"]
    found = layers(space, decoder__depth=1, decoder__cross_reach=1)
    assert not any(path.startswith("decoder.1") for path in found)
    assert found["head"].inputs == ("decoder.0.mlp.norm",)


def test_records() -> None:
    """Two sequences, fixed positions, the decoder causal to itself alone, a tied head."""
    space = from_text(SMALL.replace("REACH", "-1"))
    records = {r.path: r for r in space.outline.records}
    assert [(records[p].inputs, records[p].rows) for p in ("source", "target")] == [((INPUT,), 0), ((INPUT,), 1)]
    found = layers(space, decoder__depth=1)
    assert (found["source"].c_in, found["source"].c_out) == (2, 1)
    assert {p for p, r in records.items() if r.causal} == {"decoder.0.attention.mix", "decoder.1.attention.mix"}
    assert records["head"].weight_of == "decoder.embedding"
    assert found["encoder.position"].kind == found["decoder.position"].kind == "sinusoid"


def test_a_layer_beyond_the_depth_is_absent() -> None:
    space = spaces.load("hat")
    a = dict(next(a for a in space.sample_many(50, generator(1, "test"), by_choice=True) if a["decoder.depth"] == 2))
    assert not any(name.startswith("decoder.2.") for name in a)
    said = "choice decoder.2.ffn is absent here: it needs decoder.depth in [3, 4, 5, 6]"
    with pytest.raises(ValueError, match=re.escape(said)):
        space.architecture({**a, "decoder.2.ffn": 512})


@pytest.mark.parametrize(
    ("old", "new", "problems"),
    [
        (
            "REACH",
            "3",
            [
                "7:97: cross_reach must be -1 (the encoder's last block), 1 (its last two) or 2 (its last three) "
                "[out-of-range]"
            ],
        ),
        (
            "depth: 3, embed: 8, heads: 2, ffn: 16",
            "depth: 2, embed: 8, heads: 2, ffn: 16",
            ["7:97: cross_reach 2 needs 3 blocks in the encoder, which has 2 [wrong-shape]"],
        ),
        (
            "depth: 3",
            "depth: {choice: [1, 2]}",
            [
                "6:20: 'space.model.encoder.depth' must be a whole number, not a mapping [wrong-type]",
            ],
        ),
        (
            "cross_heads: 4",
            "cros_heads: 4",
            [
                "7:12: missing key 'space.model.decoder.cross_heads' [missing-key]",
                "7:59: unknown key 'space.model.decoder.cros_heads' [unknown-key]",
            ],
        ),
        ("cross_heads: 4", "cross_heads: 5", ["7:72: 12 features cannot be parted into 5 heads [wrong-shape]"]),
        (
            "  encoder:",
            "  encodr:",
            [
                "3:3: missing key 'space.model.encoder' [missing-key]",
                "6:3: unknown key 'space.model.encodr' [unknown-key]",
            ],
        ),
    ],
)
def test_problems(old: str, new: str, problems: list[str]) -> None:
    with pytest.raises(SpecError, match=re.escape(problems[0])) as caught:
        from_text(SMALL.replace(old, new).replace("REACH", "2"))
    found = [str(p).splitlines()[0].split(":", 1)[1] for p in caught.value.problems]
    assert found == problems
