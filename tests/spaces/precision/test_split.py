"""Precisions in parts: every word of a name may be a choice of the whole network, and what cannot be is refused."""

from __future__ import annotations

import re
from itertools import product

import pytest

from spaces.load import from_text
from spaces.precision import parse
from spaces.yaml.errors import SpecError

NETWORK = "model: {family: convnet, input: [2, 5, 5], classes: 3, stages: [{width: 4}]}\n"
PARTS = """\
precision:
  split: true
  weights:
    bits: {choice: [2, 4]}
    granularity: {choice: [tensor, channel]}
    symmetry: {choice: [symmetric, real]}
    scale: {choice: [lsqplus, lp1.5]}
    rounding: stochastic
  inputs: {bits: 4, scale: {choice: [lsqplus, adaptive]}, gradient: clipped}
"""


def test_every_combination_of_parts_is_a_precision_of_that_name() -> None:
    space = from_text(NETWORK + PARTS)
    assert [c.name for c in space.choices if c.name.startswith("precision.")] == [
        "precision.weights.granularity", "precision.weights.symmetry", "precision.weights.scale",
        "precision.inputs.scale",
    ]  # fmt: skip
    found = {
        layer.precision.name
        for a in map(space.at, range(space.size))
        for layer in space.outline.layers(a)
        if layer.kind == "conv"
    }
    words = product("24", ("tensor", "channel"), ("symmetric", "real"), ("lsqplus", "lp1.5"), ("lsqplus", "adaptive"))
    assert found == {parse(f"w{b}-{g}-{s}-{w}-stochastic/a4-{i}-clipped").name for b, g, s, w, i in words}


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (
            "lp1.5",
            "lsq",
            "weights of 2 bits tensor real lsq stochastic: scale rule lsq is symmetric only [wrong-offset]",
        ),
        ("stochastic", "neerest", "unknown rounding 'neerest' [unknown-name]\n  hint: did you mean 'nearest'?"),
        ("lp1.5", "lp99", "the number of scale rule lp is from 0.5 to 10, not 99 [out-of-range]"),
        ("bits: 4, scale", "bits: 4, granularity: channel, scale", "unknown granularity 'channel' [unknown-name]"),
        ("rounding:", "roundings:", "unknown key 'space.precision.weights.roundings' [unknown-key]"),
    ],
)
def test_what_cannot_be_is_refused(old: str, new: str, message: str) -> None:
    with pytest.raises(SpecError, match=re.escape(message)):
        from_text(NETWORK + PARTS.replace(old, new))
