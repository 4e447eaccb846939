"""Counted costs: two networks worked out by hand, and what must hold for all."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

import spaces
from spaces import Space
from spaces.randomness import generator
from tests.examples import PLAIN, convnets, space_of, with_precision

FLOAT = """
model: {family: convnet, stages: [{width: 4}]}
data: {dataset: digits}
"""
MIXED = """
model:
  family: convnet
  input: [3, 9, 9]
  classes: 3
  stages: [{depth: 2, width: 5, stride: 2, residual: true}]
precision: {choice: [float, w8a8, w4a8]}
"""


def costs(space: Space, **values: str) -> dict[str, int]:
    """Cost of one architecture."""
    table = space.cost([space.architecture(values)])
    assert all(v.shape == (1,) and v.dtype == np.int64 for v in table.values())
    return {name: int(v[0]) for name, v in table.items()}


def test_a_float_network_by_hand() -> None:
    """conv 3x3 1 -> 4 at 8x8, pool, linear 4 -> 10."""
    conv, linear = 4 * 1 * 9, 4 * 10
    assert costs(space_of(FLOAT)) == {
        "parameters": conv + 4 + linear + 10,
        "macs": conv * 64 + linear,
        "bit_operations": (conv * 64 + linear) * 32 * 32,
        # sums of 9 terms and of 4
        "bit_operations_with_sums": conv * 64 * (32 * 32 + 64 + 4) + linear * (32 * 32 + 64 + 2),
        "size_bytes": 4 * (conv + 4 + linear + 10),
        "shipped_bytes": 4 * (conv + 4 + linear + 10),
        "peak_activation_bytes": 4 * (1 * 64 + 4 * 64),  # the conv's input and output
    }


def test_a_mixed_network_by_hand() -> None:
    """conv 3 -> 5 at 9x9 stride 2 with 4-bit weights, float conv 5 -> 5 at 5x5 with a residual, 8-bit linear 5 -> 3."""
    network = {
        "stages.0.0.conv.precision": "w4a8",
        "stages.0.1.conv.precision": "float",
        "classifier.precision": "w8a8",
    }
    first, second, linear = 3 * 5 * 9, 5 * 5 * 9, 5 * 3
    tensor = 5 * 25
    assert costs(space_of(MIXED), **network) == {
        "parameters": first + 5 + second + 5 + linear + 3,
        "macs": first * 25 + second * 25 + linear,
        "bit_operations": first * 25 * 4 * 8 + second * 25 * 32 * 32 + linear * 8 * 8,
        # sums of 27, 45 and 5 terms
        "bit_operations_with_sums": first * 25 * (32 + 12 + 5) + second * 25 * (1024 + 64 + 6) + linear * (64 + 16 + 3),
        # 135 nibbles fill 68 bytes; a quantized layer has a float scale and an int32 bias per channel
        "size_bytes": (68 + 5 * 8) + 4 * (second + 5) + (linear + 3 * 8),
        "shipped_bytes": (68 + 5 * 8) + 4 * (second + 5) + (linear + 3 * 8),
        # the add reads the float conv in 4 bytes and the 4-bit conv's output in 1, and writes 4
        "peak_activation_bytes": 4 * tensor + tensor + 4 * tensor,
    }


def test_what_a_spec_adds_is_counted() -> None:
    """Of 135 + 15 weights at 2 bits: codes packed in bytes, in a file in nibbles; a scale and a zero-point per channel,
    or one for all; ternary ones are packed five to a byte."""
    text = "model: {family: convnet, input: [3, 9, 9], classes: 3, stages: [{width: 5}]}\nprecision: {choice: [%s]}"
    names = ("w2a8", "w2-tensor/a8", "w2-asymmetric/a8", "w2-ternary/a8", "w2-codebook/a8")
    space = space_of(text % ", ".join(names))
    found = space.cost([with_precision(space, space.largest, name) for name in names])
    biases, channels = 4 * (5 + 3), 5 + 3
    packed = [34 + 4 + 4 * channels, 34 + 4 + 4 * 2, 35 + 5 + 4 * channels, 27 + 3 + 4 * channels]
    assert found["size_bytes"].tolist() == [biases + size for size in [*packed, 34 + 4 + 4 * channels + 2 * 16]]
    shipped = [68 + 8 + 4 * channels, 68 + 8 + 4 * 2, 70 + 9 + 4 * channels, 68 + 8 + 4 * channels]
    assert found["shipped_bytes"].tolist() == [biases + size for size in [*shipped, 68 + 8 + 4 * channels + 2 * 16]]


@settings(deadline=None, max_examples=40)
@given(convnets(), st.integers(0, 2**32))
def test_costs_do_not_depend_on_the_company(space: Space, seed: int) -> None:
    """A network costs the same alone as in a batch."""
    batch = space.sample_many(5, generator(seed, "test"), by_choice=True)
    together = space.cost(batch)
    for row, architecture in enumerate(batch):
        assert {k: [v[row]] for k, v in together.items()} == {
            k: v.tolist() for k, v in space.cost([architecture]).items()
        }


def test_precision_changes_size_and_bit_operations_alone() -> None:
    """Fewer bits: fewer bytes, fewer bit operations, the same parameters and MACs."""
    space = space_of(PLAIN)
    rows = [space.cost([with_precision(space, space.largest, p)]) for p in ("float", "w8a8", "w4a8")]
    for name in ("parameters", "macs"):
        assert len({int(row[name][0]) for row in rows}) == 1
    for name in ("size_bytes", "bit_operations"):
        values = [int(row[name][0]) for row in rows]
        assert values == sorted(values, reverse=True)
    assert [int(r["bit_operations"][0] // r["macs"][0]) for r in rows] == [1024, 64, 32]


def test_every_larger_choice_costs_more() -> None:
    """In digits, the next deeper, wider or larger-kernelled network has more parameters and MACs."""
    space = spaces.load("digits")
    for architecture in space.sample_many(30, generator(0, "test"), by_choice=True):
        for choice in space.choices:
            if choice.name in architecture and choice.ordered and choice.name.split(".")[-1] in ("width", "kernel"):
                code = choice.code(architecture[choice.name])
                if code + 1 < len(choice.values):
                    larger = space.architecture({**architecture, choice.name: choice.values[code + 1]})
                    cost = space.cost([architecture, larger])
                    assert all(cost[name][0] < cost[name][1] for name in ("parameters", "macs", "size_bytes"))
