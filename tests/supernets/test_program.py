"""Programs of torch.export: the same function as the network, from a file, without our code."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from supernets import extract
from supernets.export import loaded, program
from tests.small import inputs, small
from tests.subnets import randomised


@pytest.mark.parametrize(
    "name", ["digits", "gpt_grouped", "gpt_tangle", "hat_transformer", "ofa_mobilenetv3", "quantnas_sr"]
)
def test_a_program_computes_what_its_network_computes(name: str) -> None:
    """Of pictures and tokens, in float, and in 8 bits where the space has them; two examples per call."""
    space = small(name)
    net, x = randomised(space), inputs(space, 2)
    found = [space.extreme(max, precision) for precision in ("float", "w8a8") if space.uniform(precision)]
    for architecture in found or [space.largest]:
        network = extract(net, architecture, net.calibrate(architecture, [x]))
        given = x if x.dtype == torch.int64 else torch.nn.functional.interpolate(x, network.input_shape[1:])
        with torch.no_grad():
            torch.testing.assert_close(loaded(program(network, 2))(given), network(given), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("part", ["the whole network", "a layer of it"])
def test_a_program_evaluates_though_its_network_is_being_trained(part: str) -> None:
    """A dropout in it does nothing then; the network's own modes stay as they were."""
    space = small("digits")
    net, x = randomised(space), inputs(space, 2)
    network = extract(net, space.largest, net.calibrate(space.largest, [x])).eval()
    path = next(y.path for y in network.layers if y.kind == "linear")
    with torch.no_grad():
        expected = network(x)
    network.replace(path, nn.Sequential(network.module(path), nn.Dropout(0.5)))
    (network if part == "the whole network" else network.module(path)).train()
    modes = [m.training for m in network.modules()]
    with torch.no_grad():
        torch.testing.assert_close(loaded(program(network, 2))(x), expected, rtol=1e-5, atol=1e-6)
    assert [m.training for m in network.modules()] == modes
