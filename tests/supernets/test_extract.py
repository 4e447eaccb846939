"""Extracted networks stand alone: own storage, loadable, as large and as expensive as the outline counts."""

from __future__ import annotations

import re

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.testing import assert_close
from torch.utils.flop_counter import FlopCounterMode

from spaces import Architecture, Space
from spaces.outline import WEIGHTED
from spaces.randomness import generator
from supernets import Network, Quantized, Supernet, build, extract
from tests.examples import PLAIN, RESIDUAL, convnets, space_of, with_precision
from tests.subnets import calibrated, images, randomised


def extracted(net: Supernet, architecture: Architecture) -> Network:
    """The subnet with statistics of noise."""
    return extract(net, architecture, calibrated(net, architecture))


def parameters(network: Network) -> int:
    """Weights and biases, whatever they are stored as."""
    total = 0
    for layer in network.layers:
        if layer.kind in WEIGHTED:
            module = network.module(layer.path)
            tensors = (module.codes, module.bias) if isinstance(module, Quantized) else tuple(module.parameters())
            total += sum(t.numel() for t in tensors)
    return total


@settings(deadline=None, max_examples=25)
@given(convnets(), st.integers(0, 2**32))
def test_a_network_has_the_parameters_that_the_outline_counts(space: Space, seed: int) -> None:
    net = build(space).eval()
    for architecture in space.sample_many(2, generator(seed, "test"), by_choice=True):
        images_ = torch.randn(4, *space.outline.input_shape, generator=torch.Generator().manual_seed(0))
        network = extract(net, architecture, net.calibrate(architecture, [images_]))
        assert parameters(network) == int(space.cost([architecture])["parameters"][0])
        with torch.no_grad():
            assert network(images_).shape == (4, space.outline.classes)


@settings(deadline=None, max_examples=25)
@given(convnets(precisions=("float",)), st.integers(0, 2**32))
def test_a_float_network_computes_the_macs_that_the_outline_counts(space: Space, seed: int) -> None:
    """As torch's own counter sees them: two operations each."""
    net = build(space).eval()
    architecture = space.sample(generator(seed, "test"))
    x = images(space, 2)
    network = extract(net, architecture, net.calibrate(architecture, [x]))
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        network(x[:1])
    assert counter.get_total_flops() == 2 * int(space.cost([architecture])["macs"][0])


@pytest.mark.parametrize("precision", ["float", "w8a8", "w4a8"])
def test_an_extracted_network_shares_no_storage(precision: str) -> None:
    """Spoiling the supernet, and its calibration, leaves it as it was; it is made of plain layers in ``eval()``."""
    net = randomised(space_of(RESIDUAL))
    architecture = net.space.extreme(max, precision)
    calibration = calibrated(net, architecture)
    network = extract(net, architecture, calibration)
    x = images(net.space, 4)
    with torch.no_grad():
        expected = network(x)
        for tensor in [*net.parameters(), *(t for grid in calibration.grids.values() for t in grid)]:
            tensor.fill_(3)
        for moments in calibration.moments.values():
            moments.mean.fill_(3)
        assert torch.equal(network(x), expected)
    theirs = {t.untyped_storage().data_ptr() for t in net.parameters()}
    assert not theirs & {t.untyped_storage().data_ptr() for t in network.state_dict().values()}
    assert not network.training
    kinds = {type(network.module(y.path)) for y in network.layers if y.kind in WEIGHTED}
    assert kinds == ({nn.Conv2d, nn.Linear} if precision == "float" else {Quantized})


def test_a_state_dict_loads_into_another_extraction() -> None:
    """Of the same architecture, whatever the supernet's weights were; another architecture's is refused."""
    space = space_of(PLAIN)
    a, b = randomised(space, seed=0), randomised(space, seed=1)
    x = images(space, 4)
    for architecture in space.sample_many(6, generator(0, "test"), by_choice=True):
        first, second = extracted(a, architecture), extracted(b, architecture)
        with torch.no_grad():
            assert not torch.equal(first(x), second(x))
            second.load_state_dict({k: v.clone() for k, v in first.state_dict().items()})
            assert torch.equal(first(x), second(x))
    other = with_precision(space, space.largest, "w8a8")
    with pytest.raises(RuntimeError, match=r"Missing key\(s\) in state_dict"):
        extracted(a, other).load_state_dict(extracted(a, space.largest).state_dict())


def test_extraction_does_not_move_the_global_generator() -> None:
    net = randomised(space_of(PLAIN))
    state = torch.random.get_rng_state()
    extracted(net, net.space.largest)
    assert torch.equal(torch.random.get_rng_state(), state)


def test_a_foreign_architecture_is_refused() -> None:
    net = randomised(space_of(PLAIN))
    calibration = calibrated(net, net.space.largest)
    with pytest.raises(ValueError, match=r"^not an architecture of space example: choice stages\.0\.depth is missing"):
        extract(net, Architecture({}), calibration)


def test_a_quantized_layer_computes_with_whole_numbers() -> None:
    """Codes times whole inputs plus a whole bias, times the scales: by hand."""
    codes = torch.tensor([[3.0, -2.0], [7.0, 0.0]])
    layer = Quantized(codes, torch.tensor([0.5, 0.25]), torch.tensor([1.01, -0.3]), torch.tensor(0.1), 4, 1, "layer")
    assert layer.bias.tolist() == [20, -12]  # 1.01 / (0.5 x 0.1), -0.3 / (0.25 x 0.1)
    assert (layer.codes.dtype, layer.bias.dtype) == (torch.int8, torch.int32)
    x = torch.tensor([[4.0, 1.0]]) * 0.1
    assert_close(layer(x), torch.tensor([[(12 - 2 + 20) * 0.05, (28 - 12) * 0.025]]))
    assert repr(layer) == "Quantized(linear 2x2, 4 bits, stride=1)"


def test_a_bias_beyond_32_bits_is_refused_with_the_layers_name() -> None:
    message = "a.conv: a bias of 1e+06 does not fit 32 bits of the layer's step"
    with pytest.raises(ValueError, match=rf"^{re.escape(message)}$"):
        Quantized(torch.ones(1, 1), torch.tensor([1e-6]), torch.tensor([1e6]), torch.tensor(1e-3), 8, 1, "a.conv")
