"""Slices of shared weights: prefix of the channels, centre of the kernel, refusal instead of clamping, entanglement."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import torch
from torch import Tensor
from torch.testing import assert_close

from spaces import Architecture, Layer, Space
from spaces.outline import WEIGHTED
from spaces.randomness import generator
from supernets import Supernet, build
from supernets.elastic import ElasticBatchNorm, ElasticConv, Moments, Pool, conv_slice, linear_slice, moments_of
from tests.examples import PLAIN, RESIDUAL, space_of
from tests.subnets import calibrated, images, randomised

NUMBERS = torch.arange(4 * 3 * 5 * 5, dtype=torch.float32).reshape(4, 3, 5, 5)


def test_a_slice_is_a_prefix_of_channels_and_the_centre_of_the_kernel() -> None:
    assert torch.equal(conv_slice(NUMBERS, 2, 1, 3), NUMBERS[:2, :1, 1:4, 1:4])
    assert torch.equal(conv_slice(NUMBERS, 4, 3, 1), NUMBERS[:, :, 2:3, 2:3])
    assert torch.equal(conv_slice(NUMBERS, 4, 3, 5), NUMBERS)
    assert torch.equal(linear_slice(NUMBERS[0, :, :, 0], 2, 4), NUMBERS[0, :2, :4, 0])
    assert conv_slice(NUMBERS, 1, 1, 1).untyped_storage().data_ptr() == NUMBERS.untyped_storage().data_ptr()


@pytest.mark.parametrize(("c_out", "c_in", "kernel"), [(5, 3, 5), (4, 4, 5), (4, 3, 7), (4, 3, 2), (4, 3, 4)])
def test_what_the_weight_does_not_hold_is_refused(c_out: int, c_in: int, kernel: int) -> None:
    with pytest.raises(ValueError, match=rf"^no slice {c_out}x{c_in} kernel {kernel} in a weight 4x3 kernel 5$"):
        conv_slice(NUMBERS, c_out, c_in, kernel)


@pytest.mark.parametrize(("d_out", "d_in"), [(4, 5), (3, 6)])
def test_a_linear_slice_is_refused_alike(d_out: int, d_in: int) -> None:
    with pytest.raises(ValueError, match=rf"^no slice {d_out}x{d_in} in a weight 3x5$"):
        linear_slice(NUMBERS[0, :, :, 0], d_out, d_in)


# --- norms ------------------------------------------------------------------------------------------------------------


def norm() -> ElasticBatchNorm:
    """A norm over four channels with gains of both signs, one of them zero."""
    made = ElasticBatchNorm(4)
    with torch.no_grad():
        made.weight.copy_(torch.tensor([0.5, -2.0, 0.0, 1.0]))
        made.bias.copy_(torch.tensor([0.1, 0.2, 0.3, 0.4]))
    return made


def test_gains_are_positive() -> None:
    """Else an exporter could not fold them into the scales of integer weights."""
    assert_close(norm().gain(3), torch.tensor([0.5, 2.0, 1e-3]))


@pytest.mark.parametrize("c", [1, 3, 4])
def test_folding_equals_the_norm_in_evaluation(c: int) -> None:
    x = torch.randn(5, c, 3, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    layer = norm().double()
    moments = Moments(torch.linspace(-1, 1, c, dtype=torch.float64), torch.linspace(0, 2, c, dtype=torch.float64))
    factor, bias = layer.fold(moments)
    assert_close(layer(x, moments), x * factor[:, None, None] + bias[:, None, None], rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("sizes", [[3, 3, 3, 3], [7, 1, 4], [12]])
def test_moments_of_batches_of_any_sizes_pool_to_those_of_all(sizes: list[int]) -> None:
    x = torch.randn(12, 3, 4, 4, generator=torch.Generator().manual_seed(0), dtype=torch.float64) * 3 + 1
    together, pool = moments_of(x), Pool()
    for part in x.split(sizes):
        pool.add(part)
    assert_close(pool.moments.mean, together.mean, rtol=1e-12, atol=1e-12)
    assert_close(pool.moments.variance, together.variance, rtol=1e-12, atol=1e-12)
    assert_close(together.variance, x.transpose(0, 1).flatten(1).var(dim=1, correction=0))


# --- the supernet -----------------------------------------------------------------------------------------------------


@contextmanager
def outside_changed(net: Supernet, layers: tuple[Layer, ...]) -> Iterator[int]:
    """Within it, every weight that these layers do not use is another; gives how many those are."""
    before = {name: p.detach().clone() for name, p in net.named_parameters()}
    active = {layer.path: layer for layer in layers if layer.kind in WEIGHTED}
    changed = 0
    with torch.no_grad():
        for record in net.outline.records:
            if record.kind not in WEIGHTED:
                continue
            module, layer = net.layer(record.path), active.get(record.path)
            for name, parameter in module.named_parameters():
                outside = torch.ones_like(parameter, dtype=torch.bool)
                if layer is not None and name == "weight":
                    if isinstance(module, ElasticConv):
                        conv_slice(outside, layer.c_out, layer.c_in, layer.kernel).fill_(False)
                    else:
                        linear_slice(outside, layer.c_out, layer.c_in).fill_(False)
                elif layer is not None:
                    outside[: layer.c_out] = False
                parameter[outside] = 1e4
                changed += int(outside.sum())
        yield changed
        for name, p in net.named_parameters():
            p.copy_(before[name])


@pytest.mark.parametrize("text", [PLAIN, RESIDUAL], ids=["plain", "residual"])
def test_weights_outside_a_slice_do_not_touch_the_subnet(text: str) -> None:
    """Its statistics, outputs and weight codes are bit-identical whatever stands there."""
    net = randomised(space_of(text))
    x = images(net.space, 8)
    total = 0
    for architecture in net.space.sample_many(12, generator(0, "test"), by_choice=True):

        def computed(architecture: Architecture = architecture) -> Tensor:
            with net.active(architecture, calibrated(net, architecture)):
                return net(x)

        expected = computed()
        with outside_changed(net, net.outline.layers(architecture)) as changed:
            assert torch.equal(computed(), expected)
        total += changed
        assert torch.equal(computed(), expected)
    assert total > 1_000


def test_the_same_seed_builds_the_same_weights_and_leaves_the_global_generator_alone() -> None:
    space = space_of(PLAIN)
    state = torch.random.get_rng_state()
    a, b, other = build(space, 3), build(space, 3), build(space, 4)
    assert torch.equal(torch.random.get_rng_state(), state)
    for (name, p), q in zip(a.named_parameters(), b.parameters(), strict=True):
        assert torch.equal(p, q), name
    path = "stages.0.0.conv"
    assert not torch.equal(a.layer(path).weight, other.layer(path).weight)


def test_every_layer_has_its_largest_form() -> None:
    net = build(space_of(RESIDUAL))
    shapes = {r.path: tuple(net.layer(r.path).weight.shape) for r in net.outline.records if r.kind in WEIGHTED}
    assert shapes == {
        "stages.0.0.conv": (6, 2, 5, 5),
        "stages.0.1.conv": (6, 6, 5, 5),
        "stages.1.0.conv": (8, 6, 5, 5),
        "stages.1.1.conv": (8, 8, 5, 5),
        "classifier": (3, 8),
    }


@pytest.mark.parametrize("value", [7, 5, 4.0])
def test_an_architecture_outside_the_space_is_refused_everywhere(value: float) -> None:
    """Too wide, in between, or of the wrong type: refused, never clamped."""
    net = randomised(space_of(PLAIN))
    wrong = Architecture({**net.space.largest, "stages.0.width": value})
    message = rf"^not an architecture of space example: stages\.0\.width: {value} is not a value of this choice"
    with pytest.raises(ValueError, match=message), net.active(wrong):
        pass
    with pytest.raises(ValueError, match=message):
        net.calibrate(wrong, [images(net.space, 4)])


def test_nothing_stays_active_after_the_block() -> None:
    """Nor after an error in it, and an inner selection gives way to the outer one."""
    net = randomised(space_of(PLAIN))
    x, space = images(net.space, 2), net.space
    small, large = space.extreme(min, "float"), space.largest
    with net.active(large, calibrated(net, large)):
        expected = net(x)
        with pytest.raises(RuntimeError, match="to have 2 channels"), net.active(small, calibrated(net, small)):
            net(x[:, :1])
        assert torch.equal(net(x), expected)
    with pytest.raises(RuntimeError, match=r"^no subnet is active; use `with net\.active\(architecture\):`$"):
        net(x)


def test_evaluation_needs_the_statistics_of_the_subnet() -> None:
    net = randomised(space_of(PLAIN))
    message = r"^this subnet is not calibrated; use `net\.active\(architecture, net\.calibrate\(\.\.\.\)\)`$"
    with net.active(net.space.largest), pytest.raises(RuntimeError, match=message):
        net(images(net.space, 2))
    net.train()
    with net.active(net.space.largest):
        assert net(images(net.space, 2)).shape == (2, 3)


def test_a_restricted_space_selects_in_the_full_supernet() -> None:
    net = randomised(space_of(PLAIN))
    inner: Space = net.space.restrict({"w4a8"})
    architecture = inner.sample(generator(0, "test"))
    with net.active(architecture, calibrated(net, architecture)):
        assert net(images(net.space, 2)).isfinite().all()
