"""Entangled alternatives: a smaller kernel is the middle of the larger one's, and nothing else is shared."""

from __future__ import annotations

import pytest
import torch
from torch.testing import assert_close

from spaces.randomness import generator
from supernets import build, extract
from supernets.elastic import owners
from tests.small import inputs, small
from tests.subnets import randomised


def test_alternatives_that_differ_in_kernels_share_the_larger_ones() -> None:
    """Separable and dilated convolutions of one edge do not: their strides, dilations or layers differ."""
    space = small("tangle_cell")
    shared = owners(space.outline.records, space.extents)
    edges = {path.split(".")[4]: owner.split(".")[4] for path, owner in shared.items()}
    assert edges == {"sep_conv_3x3": "sep_conv_5x5", "dil_conv_3x3": "dil_conv_5x5"}
    assert all(path.replace("_3x3", "_5x5") == owner for path, owner in shared.items())


@pytest.mark.parametrize(
    ("name", "pairs"),
    [
        ("nasbench201", {("nor_conv_1x1", "nor_conv_3x3")}),
        ("fbnet", {("k3_e1", "k5_e1"), ("k3_e3", "k5_e3"), ("k3_e6", "k5_e6"), ("k3_e1_g2", "k5_e1_g2")}),
        ("quantnas_sr", {("simple_1", "simple_5"), ("simple_3", "simple_5"), ("growth_1", "growth_5"),
                         ("growth_3", "growth_5"), ("grouped2_1", "grouped2_5"), ("grouped2_3", "grouped2_5")}),
        ("digits", set()),
    ],
)  # fmt: skip
def test_which_operations_share(name: str, pairs: set[tuple[str, str]]) -> None:
    space = small(name)
    found = set()
    for path, owner in owners(space.outline.records, space.extents).items():
        (a, b), *_ = [(a, b) for a, b in zip(path.split("."), owner.split("."), strict=True) if a != b]
        found.add((a, b))
    assert found == pairs


def test_the_smaller_kernel_is_the_middle_of_the_larger() -> None:
    space = small("tangle_cell")
    net = build(space, entangled=True)
    assert sum(p.numel() for p in net.parameters()) < 0.8 * sum(p.numel() for p in build(space).parameters())
    small_one = next(p for p in net.space.extents if p.endswith("sep_conv_3x3.depthwise1"))
    large_one = small_one.replace("_3x3", "_5x5")
    assert net.layer(small_one) is net.layer(large_one)
    batch = space.sample_many(50, generator(0, "test"))
    layer = next(y for a in batch for y in net.layers(a) if y.path == small_one)
    assert_close(net.weighted(small_one).active(layer), net.weighted(large_one).weight[:, :, 1:4, 1:4])


@pytest.mark.parametrize("name", ["tangle_cell", "nasbench201", "fbnet"])
def test_slices_of_entangled_supernets_are_their_extractions(name: str) -> None:
    space = small(name)
    net = randomised(space, entangled=True).double()
    x = inputs(space, 8).double()
    for architecture in space.sample_many(6, generator(0, "test"), by_choice=True):
        calibration = net.calibrate(architecture, [x])
        with torch.no_grad(), net.active(architecture, calibration):
            assert_close(extract(net, architecture, calibration)(x), net(x), rtol=1e-9, atol=1e-9)
