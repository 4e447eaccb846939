"""Statistics of subnets: what they are the moments and ranges of, and that they are the same every time."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional as F
from torch.testing import assert_close

from spaces import INPUT
from spaces.randomness import generator
from supernets.graph import stored8
from supernets.quantization import ACTIVATION, activation_grid
from tests.examples import PLAIN, RESIDUAL, space_of
from tests.subnets import images, randomised

FIRST = "stages.0.0.conv"


def test_moments_of_several_batches_are_those_of_one_big_batch_in_the_first_layer() -> None:
    net = randomised(space_of(PLAIN))
    x = images(net.space, 64)
    architecture = net.space.largest
    several, one = net.calibrate(architecture, x.chunk(4)), net.calibrate(architecture, [x])
    assert_close(several.moments[FIRST].mean, one.moments[FIRST].mean, rtol=1e-5, atol=1e-6)
    assert_close(several.moments[FIRST].variance, one.moments[FIRST].variance, rtol=1e-5, atol=1e-6)
    layer = net.outline.layers(architecture)[0]
    y = F.conv2d(x, net.layer(FIRST).active(layer), padding=layer.kernel // 2)
    assert_close(one.moments[FIRST].mean, y.mean(dim=(0, 2, 3)))
    assert_close(one.moments[FIRST].variance, y.var(dim=(0, 2, 3), correction=0))


def test_ranges_are_means_over_batches_of_the_smallest_and_largest_value() -> None:
    net = randomised(space_of(PLAIN))
    parts = images(net.space, 64).chunk(4)
    calibration = net.calibrate(net.space.extreme(max, "w8a8"), parts)
    low = torch.stack([part.min() for part in parts]).mean()
    high = torch.stack([part.max() for part in parts]).mean()
    scale, zero_point = activation_grid(low, high, ACTIVATION)
    assert torch.equal(calibration.grids[INPUT][0], scale)
    assert torch.equal(calibration.grids[INPUT][1], zero_point)
    assert {int(zero) for name, (_, zero) in calibration.grids.items() if name != INPUT} == {0}  # all after a ReLU


@pytest.mark.parametrize("text", [PLAIN, RESIDUAL], ids=["plain", "residual"])
def test_calibration_is_complete_and_the_same_every_time(text: str) -> None:
    """Moments of every present norm, a grid of every tensor stored in 8 bits; neither mode nor order changes them."""
    net = randomised(space_of(text))
    parts = images(net.space, 32).chunk(2)
    drawn = list(net.space.sample_many(8, generator(0, "test"), by_choice=True))
    first = [net.calibrate(a, parts) for a in drawn]
    net.train()
    again = [net.calibrate(a, parts) for a in reversed(drawn)][::-1]
    for architecture, a, b in zip(drawn, first, again, strict=True):
        layers = net.outline.layers(architecture)
        assert list(a.moments) == [y.path for y in layers if y.kind == "conv"]
        assert sorted(a.grids) == sorted(stored8(layers))
        assert all(torch.equal(a.moments[n].mean, b.moments[n].mean) for n in a.moments)
        assert all(torch.equal(a.moments[n].variance, b.moments[n].variance) for n in a.moments)
        assert all(torch.equal(x, y) for n in a.grids for x, y in zip(a.grids[n], b.grids[n], strict=True))


def test_calibration_changes_no_weight_and_keeps_no_graph() -> None:
    net = randomised(space_of(PLAIN))
    before = {name: value.clone() for name, value in net.state_dict().items()}
    calibration = net.calibrate(net.space.largest, [images(net.space, 16)])
    assert all(torch.equal(value, before[name]) for name, value in net.state_dict().items())
    assert not any(m.mean.requires_grad or m.variance.requires_grad for m in calibration.moments.values())


@pytest.mark.parametrize(("sizes", "shown"), [((4, 3), r"\[4, 3\]"), ((), r"\[\]")])
def test_batches_of_different_sizes_or_none_are_refused(sizes: tuple[int, ...], shown: str) -> None:
    net = randomised(space_of(PLAIN))
    with pytest.raises(ValueError, match=rf"^calibration needs equally large batches, got sizes {shown}$"):
        net.calibrate(net.space.largest, [images(net.space, n) for n in sizes])
