"""What may be used where, in a table and in a file; sizes in bits."""

from __future__ import annotations

import re

import pytest

from spaces import QuantSpec
from spaces.precision import Place, Refused, Size, menu, packed, refusal, shipped, spec_of
from spaces.yaml import SpecError
from tests.examples import space_of

ZERO = "use int or ternary"


@pytest.mark.parametrize(
    ("name", "place", "message"),
    [
        ("w4-token", Place("weight"), "granularity token is not for the role weight [wrong-granularity]"),
        ("a8-channel", Place("input"), "granularity channel is not for the role input [wrong-granularity]"),
        ("w4-unsigned-symmetric", Place("weight"),
         "unsigned codes without an offset lose the negative values of the role weight [wrong-sign]"),
        ("p8-signed-symmetric", Place("attention"),
         "probabilities are not negative, and half of the codes would stay unused [wrong-sign]"),
        ("a4-token-lsqplus", Place("input"), "a learned scale per token has nothing to be stored for"),
        ("w4-group32-lsq", Place("weight"), "a learned scale per group has nothing to be stored for"),
        ("a4-adaround", Place("input"), "rounding adaround learns one number per value, which only weights keep"),
        ("a4-codebook-absmax", Place("input"), "number format codebook learns its levels, which only weights keep"),
        ("w2-midrise", Place("weight", sparse=True),
         "2:4 sparsity needs an exact zero, and 2 bits of midrise have none"),
        ("a4-midrise-absmax", Place("input", padded=True), "zero padding needs an exact zero, and 4 bits of midrise"),
        ("w1-mean-biper", Place("weight", ranked=True),
         "gradient biper is periodic, so the size of a weight cannot rank"),
        ("w4-group16", Place("weight", inputs=(32, 40)), "group size 16 does not divide 40 input channels"),
    ],
)  # fmt: skip
def test_a_spec_in_the_wrong_place_is_refused_with_a_reason(name: str, place: Place, message: str) -> None:
    found = refusal(spec_of(name, place.role), place)
    assert isinstance(found, Refused)
    assert str(found).startswith(message)
    assert found.hint


def test_what_is_left_of_a_menu() -> None:
    specs = [spec_of(name, "input") for name in ("a8", "a4-token", "a8-channel", "a4-midrise-absmax", "a8-e4m3-absmax")]
    assert menu(specs, Place("input", padded=True)) == (specs[0], specs[1], specs[4])
    assert menu(specs, Place("input")) == (specs[0], specs[1], *specs[3:])
    heads = [spec_of(name, "kv") for name in ("k8-head", "k4-channel", "k8-token", "k8")]
    assert menu(heads, Place("kv")) == tuple(heads)


CONV = "model: {{family: convnet, input: [3, 8, 8], classes: 3, stages: [{{width: {{choice: [16, 24]}}, depth: 2}}]}}\n"


def check(precision: str, *problems: str) -> None:
    """Loading a file with this precision gives these problems in line 2."""
    count = f"{len(problems)} problem{'' if len(problems) == 1 else 's'}; nothing was written"
    message = "\n".join([*(f"space.yaml:2:{p}" for p in problems), count])
    with pytest.raises(SpecError, match=rf"\A{re.escape(message)}\Z"):
        space_of(f"{CONV.format()}precision: {precision}\n")


def test_files_are_refused_with_the_place_of_the_precision() -> None:
    """The first layer where it cannot be is named."""
    check(
        "{choice: [w8a8, w4-group16/a8]}",
        "28: layer stages.0.0.conv, precision w4-group16/a8: group size 16 does not divide 3 input "
        "channels [wrong-group]\n"
        "  hint: choose a size that divides every width, or leave the layer out by except",
    )
    check(
        "{choice: [w8/a4-midrise-absmax, float]}",
        "22: layer stages.0.0.conv, precision w8/a4-midrise-absmax: zero padding needs an exact zero, and 4 bits of "
        "midrise have none [no-zero]\n  hint: use int, or a layer without padding",
    )
    check(
        "{weights: {bits: 4}, inputs: {bits: 8, granularity: channel}}",
        "12: granularity channel is not for the role input [wrong-granularity]\n"
        "  hint: weight: tensor, channel, group; input: tensor, group, token",
    )
    check(
        "{choice: [w8a8, w4-lsqq/a8]}",
        "28: unknown word 'lsqq' [unknown-name]\n  hint: did you mean 'lsq'?",
    )


def test_groups_that_fit_every_width_are_taken() -> None:
    """Of the first layer, which has three inputs, another precision."""
    text = CONV.format() + "precision: {choice: [w8a8, w4-group8/a8], except: {stages.0.0.conv: w8a8}}\n"
    assert space_of(text).size == 2 * 2 * 2


# --- sizes ------------------------------------------------------------------------------------------------------------


def spec(name: str) -> QuantSpec:
    """Of a weight."""
    return spec_of(name, "weight")


@pytest.mark.parametrize(
    ("name", "shape", "tight", "in_file"),
    [
        ("w8", (4, 8), Size(256, 4 * 32), Size(256, 4 * 32)),
        ("w3", (4, 8), Size(96, 4 * 32), Size(128, 4 * 32)),
        ("w4-asymmetric-group4", (4, 8), Size(128, 8 * 32, 8 * 4), Size(128, 8 * 32, 8 * 4)),
        ("w2-ternary-tensor", (3, 7), Size(5 * 8, 32), Size(84, 32)),
        ("w4-codebook", (4, 8), Size(128, 4 * 32, 0, 0, 16 * 32), Size(128, 4 * 32, 0, 0, 16 * 32)),
        ("w4-pow2-absmax", (4, 8), Size(128, 4 * 32), Size(128, 4 * 32, 0, 0, 16 * 32)),
    ],
)
def test_sizes_in_bits_by_hand(name: str, shape: tuple[int, ...], tight: Size, in_file: Size) -> None:
    assert packed(spec(name), shape) == tight
    assert shipped(spec(name), shape) == in_file
    assert packed(None, shape).total == shipped(None, shape).total == 32 * shape[0] * shape[1]


def test_published_bits_per_value() -> None:
    """MXFP4 4.25, NVFP4 4.5 and a float for the tensor; 2:4 in 8 bits 5, 4:8 by pairs in 4 bits 2.5."""
    count = 64 * 256
    assert packed(spec("w4-mxfp4"), (64, 256)).total == 4.25 * count
    assert packed(spec("w4-nvfp4"), (64, 256)).total == 4.5 * count + 32
    assert packed(spec("w8"), (64, 256), sparsity="2:4").total == 5 * count + 64 * 32
    assert packed(spec("w4"), (64, 256), sparsity="4:8").total == 2.5 * count + 64 * 32
    with pytest.raises(Refused, match=r"^15 values have no sparsity 2:4 \[wrong-sparsity\]\n  hint: known: 2:4, 4:8$"):
        packed(spec("w8"), (3, 5), sparsity="2:4")


@pytest.mark.parametrize(
    ("name", "role", "shape", "count"),
    [
        ("a8", "input", (2, 8, 5, 4), 1), ("a8-token", "input", (2, 8, 5, 4), 40), ("a8-token", "input", (2, 7, 8), 14),
        ("k8-head", "kv", (2, 3, 7, 4), 3), ("k8-channel", "kv", (2, 3, 7, 4), 12),
        ("p8-token", "attention", (2, 3, 7, 7), 42),
        ("a8-group4", "input", (2, 8, 5, 4), 80),
    ],
)  # fmt: skip
def test_scales_of_other_roles_are_counted(name: str, role: str, shape: tuple[int, ...], count: int) -> None:
    assert packed(spec_of(name, role), shape, role).scales == 32 * count
