"""``notation: hat``: every row of HAT's latency tables, and what is not a row."""

from __future__ import annotations

import re
from itertools import product
from pathlib import Path

import pytest

import spaces
from spaces import Space, from_text
from spaces.notations import WrongNotation
from spaces.notations.hat import NAMES
from spaces.randomness import generator

TABLES = Path(__file__).parents[4] / "shared" / "data" / "hat_latency"
ROW = "640,6,1962.6666666666667,6.0,512,4,1920.0,2.5,5.5,1.5"  # the first of the IWSLT table


@pytest.fixture(scope="module")
def hat() -> Space:
    """The space of the tables."""
    return spaces.load("hat")


@pytest.mark.skipif(not TABLES.exists(), reason="the shared latency tables are not here")
def test_every_row_of_the_tables_reads_and_writes_back(hat: Space) -> None:
    """12,000 rows, to the last digit."""
    files = sorted(TABLES.glob("*.csv"))
    assert len(files) == 6
    for file in files:
        header, *rows = file.read_text("utf-8").splitlines()
        assert (tuple(header.split(",")[:10]), len(rows)) == (NAMES, 2000)
        for row in rows:
            text = ",".join(row.split(",")[:10])
            assert hat.format(hat.parse(text)) == text


@pytest.mark.skipif(not TABLES.exists(), reason="the shared latency tables are not here")
def test_every_table_needs_every_value_of_the_space(hat: Space) -> None:
    """In decoders of one layer the averages are the layer's own values, and all of the space's show up."""
    values = {"ffn": (512, 1024, 2048, 3072), "heads": (2, 4, 8), "cross_heads": (2, 4, 8), "cross_reach": (-1, 1, 2)}
    for choice in hat.choices:
        assert choice.values == values.get(choice.name.rsplit(".", 1)[-1], choice.values)
    for file in TABLES.glob("*.csv"):
        rows = [list(map(float, row.split(",")[:10])) for row in file.read_text("utf-8").splitlines()[1:]]
        single = [row for row in rows if row[5] == 1]
        assert [{row[i] for row in single} for i in (6, 7, 8, 9)] == [
            {512, 1024, 2048, 3072}, {2, 4, 8}, {2, 4, 8}, {1, 2, 3},
        ]  # fmt: skip


def test_a_text_stands_for_the_most_even_network(hat: Space) -> None:
    """The lexicographically smallest sequences that never rise; a reach is counted in layers."""
    a = hat.parse(ROW)
    assert [a[f"encoder.{i}.ffn"] for i in range(6)] == [3072, 2048, 2048, 2048, 2048, 512]
    layers = range(4)
    assert [a[f"decoder.{i}.heads"] for i in layers] == [4, 2, 2, 2]
    assert [a[f"decoder.{i}.cross_heads"] for i in layers] == [8, 8, 4, 2]
    assert [a[f"decoder.{i}.cross_reach"] for i in layers] == [1, 1, -1, -1]
    assert "decoder.4.heads" not in a


def test_the_sequence_is_the_smallest_that_never_rises(hat: Space) -> None:
    """Against all sequences."""
    values = (512, 1024, 2048, 3072)
    for total in range(4 * 512, 4 * 3072 + 1, 512):
        falling = [s for s in product(values, repeat=4) if sum(s) == total and list(s) == sorted(s, reverse=True)]
        text = f"512,6,512,2,512,4,{total / 4},2,2,1"
        if falling:
            a = hat.parse(text)
            assert tuple(a[f"decoder.{i}.ffn"] for i in range(4)) == min(falling)
        else:
            with pytest.raises(WrongNotation, match="is not a mean over 4 layers of 512, 1024, 2048, 3072"):
                hat.parse(text)


def test_any_network_writes_a_text_that_stands_for_its_averages(hat: Space) -> None:
    for a in hat.sample_many(200, generator(0, "test"), by_choice=True):
        text = hat.format(a)
        assert hat.format(hat.parse(text)) == text
        depth = int(a["decoder.depth"])
        mean = sum(int(a[f"decoder.{i}.ffn"]) for i in range(depth)) / depth
        assert float(text.split(",")[6]) == mean


def test_names_may_be_written_in_any_order(hat: Space) -> None:
    pairs = [f"{name} = {value}" for name, value in zip(NAMES, ROW.split(","), strict=True)]
    assert hat.parse(", ".join(reversed(pairs))) == hat.parse(ROW)


def test_constants_and_choices_of_a_whole_side() -> None:
    """They must be what the text says."""
    space = from_text("""
    model:
      family: transformer
      notation: hat
      tokens: 4
      vocabulary: 9
      encoder: {depth: 2, embed: 8, heads: {choice: [2, 4]}, ffn: 16}
      decoder: {depth: {choice: [1, 2]}, embed: 8, heads: 2, cross_heads: 4, ffn: {choice: [8, 16]}, cross_reach: 1}
    """)
    text = "8,2,16.0,4.0,8,2,8.0,2.0,4.0,2.0"
    a = space.parse(text)
    assert dict(a) == {"encoder.heads": 4, "decoder.depth": 2, "decoder.ffn": 8}
    assert space.format(a) == text
    for wrong, said in (
        ("8,2,16,3,8,2,8,2,4,2", "encoder_self_attention_heads_avg 3.0 is not a mean over 2 layers of 2, 4"),
        ("8,2,16,4,8,2,12,2,4,2", "decoder_ffn_embed_dim_avg 12.0 is not a mean over 2 layers of 8, 16"),
        ("8,2,16,4,8,2,8,2,4,1", "decoder_arbitrary_ende_attn_avg 1.0 is not a mean over 2 layers of 2"),
        ("16,2,16,4,8,2,8,2,4,2", "encoder_embed_dim 16.0 is not one of 8"),
    ):
        with pytest.raises(WrongNotation, match=rf"\A{re.escape(said)}\Z"):
            space.parse(wrong)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "encoder_embed_dim must be a number, not ''"),
        ("1,2", "ten features are needed, got 2; encoder_ffn_embed_dim_avg is missing"),
        (ROW + ",5.49", "ten features are needed, got 11"),
        (ROW.replace("640", "six"), "encoder_embed_dim must be a number, not 'six'"),
        (ROW.replace("640", "nan"), "encoder_embed_dim must be finite, not nan"),
        (ROW.replace("640", "1e999"), "encoder_embed_dim must be finite, not 1e999"),
        (ROW.replace("640", "768"), "encoder_embed_dim 768.0 is not one of 512, 640"),
        (ROW.replace(",4,", ",7,"), "decoder_layer_num 7.0 is not one of 1, 2, 3, 4, 5, 6"),
        (ROW.replace(",4,", ",0.5,"), "decoder_layer_num 0.5 is not one of 1, 2, 3, 4, 5, 6"),
        (ROW.replace("2.5", "2.6"), "decoder_self_attention_heads_avg 2.6 is not a mean over 4 layers of 2, 4, 8"),
        (
            "decoder_layer_nun=1" + ",x=1" * 9,
            "unknown feature 'decoder_layer_nun'; did you mean decoder_layer_num?",
        ),
        ("zebra=1", f"unknown feature 'zebra'; known: {', '.join(NAMES)}"),
        ("decoder_layer_num=1,decoder_layer_num=2", "feature decoder_layer_num stands twice"),
        ("decoder_layer_num=1,6", "unknown feature '6'"),
    ],
)
def test_what_is_not_a_row(hat: Space, text: str, said: str) -> None:
    with pytest.raises(WrongNotation, match=rf"\A{re.escape(said)}"):
        hat.parse(text)


def test_spaces_that_the_notation_does_not_fit() -> None:
    """Named with what is in the way."""
    head = "model:\n  family: {}\n  notation: hat\n  tokens: 4\n  vocabulary: 9\n  {}\n"
    gpt = from_text(head.format("gpt", "{embed: 8, depth: 1, heads: 1}".strip("{}").replace(", ", "\n  ")))
    with pytest.raises(WrongNotation, match="is not of family transformer"):
        gpt.parse(ROW)
    sides = "encoder: {depth: 1, embed: 8, heads: 1ENC}\n  decoder: {depth: 1, embed: 8, heads: 1, cross_heads: 1DEC}"
    ratios = from_text(head.format("transformer", sides.replace("ENC", "").replace("DEC", "")))
    with pytest.raises(WrongNotation, match="writes mlp_ratio, where the notation hat has ffn"):
        ratios.format(ratios.largest)
    fixed = head.format("transformer", sides.replace("ENC", ", ffn: 8").replace("DEC", ", ffn: 8"))
    bits = from_text(fixed + "precision: {choice: [float, w8a8], per: network}\n")
    with pytest.raises(WrongNotation, match="says nothing of precision, which space"):
        bits.parse("8,1,8,1,8,1,8,1,1,1")
