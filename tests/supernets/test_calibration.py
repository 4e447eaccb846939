"""Statistics of subnets: what they are the moments and ranges of, and that they are the same every time."""

from __future__ import annotations

import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F
from torch.testing import assert_close

from spaces import INPUT, Architecture
from spaces.randomness import generator
from supernets import Calibration, Supernet
from supernets.elastic import Moments, moments_of
from supernets.graph import stored8
from supernets.quantization import ACTIVATION, activation_grid
from supernets.selection import Records
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
    assert_close(calibration.grids[INPUT][0], scale, rtol=1e-6, atol=0)
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


def test_no_batches_are_refused() -> None:
    net = randomised(space_of(PLAIN))
    message = "calibration needs batches, got none; several passes need some that can be read again"
    with pytest.raises(ValueError, match=rf"\A{message}\Z"):
        net.calibrate(net.space.largest, [])
    once = iter(images(net.space, 4).chunk(2))
    with pytest.raises(ValueError, match=rf"\A{message}\Z"):
        net.calibrate(net.space.largest, once, passes=2)


# --- precise moments --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("precision", ["float", "w8a8", "w4a8"])
@pytest.mark.parametrize("text", [PLAIN, RESIDUAL], ids=["plain", "residual"])
def test_precise_moments_are_those_over_the_whole_set(text: str, precision: str) -> None:
    """Of what evaluation computes: every layer reads what norms and ranges make of the whole set."""
    net = randomised(space_of(text)).double()
    x, architecture = images(net.space, 60).double(), net.space.extreme(max, precision)
    parts = x.split([17, 20, 16, 7])
    found = net.calibrate(architecture, parts, passes=1 + sum(y.norm for y in net.layers(architecture)))
    seen = whole_set(net, architecture, found, x)
    assert list(seen) == list(found.moments)
    for path, moments in found.moments.items():
        assert_close(moments.mean, seen[path].mean, rtol=1e-6, atol=1e-6)
        assert_close(moments.variance, seen[path].variance, rtol=1e-6, atol=1e-6)
    if precision == "float":  # no ranges, which are means over batches: one batch of all gives the same
        together = net.calibrate(architecture, [x])
        for path, moments in together.moments.items():
            assert_close(found.moments[path].mean, moments.mean, rtol=1e-6, atol=1e-6)
            assert_close(found.moments[path].variance, moments.variance, rtol=1e-6, atol=1e-6)


def whole_set(net: Supernet, architecture: Architecture, found: Calibration, x: Tensor) -> dict[str, Moments]:
    """Moments before each norm in evaluation with this calibration, all images at once."""
    seen: dict[str, Moments] = {}
    hooks = []
    for layer in net.layers(architecture):
        if layer.norm:
            norm = net.weighted(layer.path).norm
            assert norm is not None
            hooks.append(norm.register_forward_pre_hook(partial(_note, seen, layer.path)))
    with torch.no_grad(), net.active(architecture, found):
        net(x)
    for hook in hooks:
        hook.remove()
    return seen


def _note(seen: dict[str, Moments], path: str, norm: torch.nn.Module, given: tuple[Any, ...]) -> None:
    seen[path] = moments_of(given[0])


def test_batches_are_streamed_and_memory_does_not_grow_with_them() -> None:
    """One batch is alive at a time, and what is kept of two batches is as much as of fifty."""
    net = randomised(space_of(PLAIN))
    architecture = net.space.extreme(max, "w8a8")
    alive: weakref.WeakSet[Tensor] = weakref.WeakSet()
    kept = []

    class Stream:
        """Batches that are made when they are asked for."""

        def __init__(self, count: int) -> None:
            self.count = count

        def __iter__(self) -> Iterator[Tensor]:
            for i in range(self.count):
                batch = images(net.space, 4, seed=i)
                alive.add(batch)
                yield batch
                del batch  # who asked for it may still have it
                assert len(alive) <= 1

    for count in (2, 50):
        with tracked() as numbers:
            net.calibrate(architecture, Stream(count), passes=2)
        kept.append(numbers[0])
    assert kept[0] == kept[1] > 0


@contextmanager
def tracked() -> Iterator[list[int]]:
    """Within it, the most numbers that records ever held, in all their fields."""
    most, made, create = [0], [], Records.__init__

    def noted(self: Records, *args: Any, **named: Any) -> None:
        create(self, *args, **named)
        made.append(self)

    Records.__init__ = noted  # type: ignore[method-assign]
    try:
        yield most
    finally:
        Records.__init__ = create  # type: ignore[method-assign]
    for records in made:
        pools = [t for pool in records.moments.values() for t in vars(pool).values()]
        means = [t for mean in (*records.ranges.values(), *records.inputs.values()) for t in vars(mean).values()]
        most[0] = max(most[0], sum(t.numel() for t in (*pools, *means) if isinstance(t, Tensor)))
