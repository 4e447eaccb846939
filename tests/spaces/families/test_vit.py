"""``family: vit``: DeiT and AutoFormer against what is worked out by hand."""

from __future__ import annotations

import re

import pytest

import spaces
from spaces import Architecture, Condition, from_text
from spaces.randomness import generator
from spaces.yaml import SpecError
from tests.spaces.families.by_hand import Cost, attention, conv, counted, linear, mlp, table


def deit(embed: int, heads: int) -> spaces.Space:
    """The fixed networks of Touvron et al. 2021."""
    return from_text(
        "model: {family: vit, input: [3, 224, 224], classes: 1000, head_dim: 64, depth: 12, "
        f"embed: {embed}, heads: {heads}}}"
    )


@pytest.mark.parametrize(
    ("embed", "heads", "parameters", "giga_macs"),
    [(192, 3, 5_717_416, 1.26), (384, 6, 22_050_664, 4.61), (768, 12, 86_567_656, 17.58)],
)
def test_deit_has_its_published_parameters_and_macs(embed: int, heads: int, parameters: int, giga_macs: float) -> None:
    """Tiny, small and base; the MACs as SN-Net's result files give them (theirs count norms too)."""
    found = counted(deit(embed, heads))
    assert found.parameters == parameters
    assert found.macs / 1e9 == pytest.approx(giga_macs, rel=0.01)


def test_deit_tiny_by_hand() -> None:
    """197 tokens: 14 x 14 patches and the class token."""
    block = table(2 * 192) + attention(197, 192, 192) + table(2 * 192) + mlp(197, 192, 768)
    expected = conv(196, 3, 192, 16) + table(192, 197 * 192) + table(2 * 192) + linear(1, 192, 1000)
    for _ in range(12):
        expected += block
    assert counted(deit(192, 3)) == expected == Cost(5_717_416, 1_253_683_200)


def autoformer(a: Architecture) -> Cost:
    """A network of the space autoformer_tiny."""
    c = int(a["embed"])
    expected = conv(196, 3, c, 16) + table(c, 197 * c, 2 * c) + linear(1, c, 1000)
    for block in range(int(a["depth"])):
        expected += table(2 * c) + attention(197, c, 64 * int(a[f"blocks.{block}.heads"]))
        expected += table(2 * c) + mlp(197, c, int(c * a[f"blocks.{block}.mlp_ratio"]))  # type: ignore[operator]
    return expected


def test_autoformer_tiny() -> None:
    """Size, choices and costs."""
    space = spaces.load("autoformer_tiny")
    assert space.size == 3 * sum((2 * 2) ** depth for depth in (12, 13, 14)) == 1_056_964_608
    for a in [*space.sample_many(12, generator(0, "test"), by_choice=True), space.largest]:
        assert counted(space, a) == autoformer(a)


def test_a_block_beyond_the_depth_is_absent() -> None:
    """So are its choices, and the norm at the end reads the last block that is there."""
    space = from_text(
        "model: {family: vit, input: [1, 8, 8], classes: 3, patch: 4, embed: 8, depth: {choice: [1, 3]}, "
        "heads: {choice: [2, 4], per: block}, mlp_ratio: {choice: [1, 2]}}"
    )
    deep = (Condition("depth", (3,)),)
    assert [(c.name, c.when) for c in space.choices] == [
        ("depth", ()),
        ("blocks.0.heads", ()),
        ("mlp_ratio", ()),
        ("blocks.1.heads", deep),
        ("blocks.2.heads", deep),
    ]
    assert space.size == 2 * (2 + 2**3)
    shallow = {"depth": 1, "blocks.0.heads": 2, "mlp_ratio": 1}
    layers = {y.path: y for y in space.outline.layers(space.architecture(shallow))}
    assert not any(path.startswith(("blocks.1", "blocks.2")) for path in layers)
    assert layers["norm"].inputs == ("blocks.0.mlp.add",)
    assert (layers["first"].h, layers["first"].out_h) == (5, 1)
    with pytest.raises(ValueError, match=re.escape("choice blocks.1.heads is absent here: it needs depth in [3]")):
        space.architecture({**shallow, "blocks.1.heads": 2})


def test_layers_of_a_block() -> None:
    """Norms first, queries, keys and values of the same tokens, the residual stream second."""
    space = from_text(
        "model: {family: vit, input: [1, 8, 8], classes: 3, patch: 4, embed: 8, depth: 1, heads: 2, mlp_ratio: 1.5}"
    )
    layers = {y.path: y for y in space.outline.layers(space.largest)}
    start = "position"
    assert [(p, y.inputs) for p, y in layers.items() if p.startswith("blocks.0.attention")] == [
        ("blocks.0.attention.norm", (start,)),
        ("blocks.0.attention.queries", ("blocks.0.attention.norm",)),
        ("blocks.0.attention.keys", ("blocks.0.attention.norm",)),
        ("blocks.0.attention.values", ("blocks.0.attention.norm",)),
        ("blocks.0.attention.mix", tuple(f"blocks.0.attention.{x}" for x in ("queries", "keys", "values"))),
        ("blocks.0.attention.output", ("blocks.0.attention.mix",)),
        ("blocks.0.attention.add", ("blocks.0.attention.output", start)),
    ]
    assert (layers["blocks.0.attention.mix"].heads, layers["blocks.0.mlp.up"].c_out) == (2, 12)
    assert layers["blocks.0.mlp.up"].activation == "gelu"


@pytest.mark.parametrize(
    ("rest", "problem"),
    [
        ("depth: 1, heads: 2", "1:8: missing key 'space.model.embed' [missing-key]"),
        (
            "embed: 8, depth: 1, heads: 3",
            "2:28: 8 features cannot be parted into 3 heads [wrong-shape]\n"
            "  hint: leave one of the two out, or give head_dim",
        ),
        (
            "embed: 8, depth: 1, heads: 2, mlp_ratio: 0",
            "2:42: mlp_ratio must be a number from 0.01 to 100, got 0 [out-of-range]",
        ),
        (
            "embed: 8, depth: 1, heads: 2, ffn: 8, mlp_ratio: 2",
            "2:36: the MLP has both ffn and mlp_ratio [ambiguous]\n  hint: keep one of them",
        ),
        (
            "embed: 8, depth: 1, heads: 2, head_dim: 4, attention: 8",
            "2:55: the attention has both head_dim and attention [ambiguous]\n  hint: keep one of them",
        ),
        (
            "embed: {choice: [8, 16], per: block}, depth: 1, heads: 2",
            "2:8: embed is in no block [wrong-scope]\n  hint: it can be chosen per network",
        ),
        (
            "embed: 8, depth: 1, heads: {choice: [1, 2], per: stage}",
            "2:28: heads is in no stage [wrong-scope]\n  hint: it can be chosen per network, block",
        ),
        (
            "embed: 8, depth: 1, head: 2, heads: 2",
            "2:21: unknown key 'space.model.head' [unknown-key]\n  hint: did you mean 'heads'?",
        ),
    ],
)
def test_problems(rest: str, problem: str) -> None:
    with pytest.raises(SpecError, match=re.escape(problem)):
        from_text(f"model: {{family: vit, input: [3, 8, 8], classes: 5,\n{rest}}}")
