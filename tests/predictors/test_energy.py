"""Energy against sums made by hand."""

from __future__ import annotations

import pytest

from predictors.energy import HOROWITZ, EnergyTable, energy_pj
from tests.examples import space_of

SPACE = space_of(
    "model: {family: convnet, input: [2, 4, 4], classes: 3, stages: [{width: 5, kernel: {choice: [1, 3]}}]}\n"
    "precision: {choice: [float, w8a8, w4a8]}\n"
)


def of(kernel: int, precision: str, table: EnergyTable) -> float:
    """The network of this kernel, in one precision."""
    values = {c.name: kernel if c.name.endswith("kernel") else precision for c in SPACE.choices}
    return float(energy_pj(SPACE.batch([SPACE.architecture(values)]), table)[0])


def test_float_products_and_sums_by_hand() -> None:
    """A convolution of 2 to 5 channels on 4 x 4 places, and a linear layer of 5 to 3; memory for nothing."""
    macs = 9 * 2 * 5 * 16 + 5 * 3
    assert of(3, "float", EnergyTable(3.7, 0.9, 0, 0, 0)) == pytest.approx(macs * 4.6)


def test_integer_products_go_by_the_bits_of_both_factors() -> None:
    """Four bits of weight cost half of eight."""
    macs = 9 * 2 * 5 * 16 + 5 * 3
    products, sums = EnergyTable(0, 0, 1 / 64, 0, 0), EnergyTable(0, 0, 0, 0.1, 0)
    assert of(3, "w8a8", products) == pytest.approx(macs)
    assert of(3, "w4a8", products) == pytest.approx(macs / 2)
    assert of(3, "w8a8", sums) == of(3, "w4a8", sums) == pytest.approx(macs * 0.1)


def test_every_layer_moves_weights_inputs_and_output_once() -> None:
    """In bits as stored: convolution, pool, linear layer; and more for a larger kernel."""
    memory = EnergyTable(0, 0, 0, 0, 1)
    conv = 2 * 5 + 5 + 2 * 16 + 5 * 16
    pool = 5 * 16 + 5
    linear = 5 * 3 + 3 + 5 + 3
    assert of(1, "float", memory) == 32 * (conv + pool + linear)
    assert of(3, "float", memory) - of(1, "float", memory) == 32 * 8 * 2 * 5
    assert of(3, "w4a8", memory) < of(3, "w8a8", memory) < of(3, "float", memory) / 2


def test_inputs_move_in_their_own_sizes() -> None:
    """Keys and values of one head are half as wide as the queries of two."""
    space = space_of("""
model:
  family: transformer
  tokens: 6
  vocabulary: 5
  encoder: {depth: 1, embed: 8, ffn: 8, heads: 1}
  decoder: {depth: 1, embed: 8, ffn: 8, heads: 2, cross_heads: 2, cross_kv_heads: 1}
""")
    whole = float(energy_pj(space.batch([space.largest]), EnergyTable(0, 0, 0, 0, 1))[0])
    layers = space.outline.layers(space.largest)
    sizes = {y.path: y.c_out * y.out_h * y.out_w for y in layers}
    plain = {"attention", "add"}
    read = sum(sizes[path] for y in layers if y.kind in plain for path in y.inputs)
    assert read < sum(y.c_in * y.h * y.w * len(y.inputs) for y in layers if y.kind in plain)
    rest = sum(y.c_in * y.h * y.w for y in layers if y.kind not in plain)
    weights = sum(y.c_in * y.c_out + y.c_out for y in layers if y.kind == "linear")
    assert whole == pytest.approx(32 * (sum(sizes.values()) + read + rest + weights))


def test_the_published_table_says_what_integers_save() -> None:
    """A float product and sum cost 4.6 pJ, those of 8 bits 0.3."""
    assert HOROWITZ.product_float32 + HOROWITZ.sum_float32 == pytest.approx(4.6)
    assert 64 * HOROWITZ.product_per_bit2 + HOROWITZ.sum_int32 == pytest.approx(0.3)
    assert of(3, "w8a8", HOROWITZ) < of(3, "float", HOROWITZ)
