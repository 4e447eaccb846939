"""Integer layers of every form: the supernet computes with the codes and steps of the extracted network.

The bounds are those of the design: on equal inputs at most one step in at most 0.1 % of the elements.
"""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn
from torch.testing import assert_close

from spaces import Architecture, Space
from spaces.precision import parse
from spaces.randomness import generator
from supernets import Network, Quantized, extract
from supernets.quantization import ACTIVATION, activation_grid, narrowed, quantize_activation, weight_codes
from tests.examples import space_of
from tests.small import inputs, small
from tests.subnets import randomised

FORMS = """
model:
  family: graph
  input: [3, 8, 8]
  classes: 4
  layers:
    - conv: {out: {choice: [4, 8]}, kernel: {choice: [3, 5]}}
    - depthwise: {kernel: {choice: [3, 5]}, stride: 2}
    - split:
        merge: concat
        branches:
          a: [conv: {out: {choice: [2, 4]}, groups: 2, dilation: 2}]
          b: [conv: {out: {choice: [4, 6]}, kernel: 3, padding: 1, norm: false, bias: false}]
    - conv: {out: {choice: [4, 8]}, kernel: 1, activation: hard_swish}
    - tokens
    - residual: [norm, linear: {out: {choice: [5, 9]}, activation: gelu}, linear: {out: {tie: layers.3.out}}]
    - pool
    - linear: 4
precision: {choice: [float, w8a8, w4a8], per: layer}
"""


def spaces() -> dict[str, Space]:
    """Bits of weights and inputs by themselves, pictures out, and every form of layer in one network."""
    return {"eqnet_resnet18": small("eqnet_resnet18"), "quantnas_sr": small("quantnas_sr"), "forms": space_of(FORMS)}


KERNELS = {"precision.weights.symmetry": "symmetric", "precision.inputs.symmetry": "asymmetric"}
"""What integer kernels need, where a space has a choice of it."""


def drawn(space: Space, count: int) -> list[Architecture]:
    """Architectures whose layers are integer ones, or float."""
    wanted = {name: value for name, value in KERNELS.items() if name in space.column}
    if not wanted:
        return list(space.sample_many(count, generator(0, "test"), by_choice=True))
    return [space.complete(wanted, generator(0, "test", i)) for i in range(count)]


def read(plain: Network, x: Tensor) -> dict[str, Tensor]:
    """What each integer layer of a network reads."""
    found: dict[str, Tensor] = {}

    def keep(path: str) -> object:
        def hook(module: nn.Module, args: tuple[Tensor, ...]) -> None:
            found[path] = args[0]

        return plain.module(path).register_forward_pre_hook(hook)

    for y in plain.layers:
        if y.precision.quantized:
            keep(y.path)
    with torch.no_grad():
        plain(x)
    return found


@pytest.mark.parametrize("name", spaces())
def test_integer_layers_agree_on_equal_inputs(name: str) -> None:
    space = spaces()[name]
    net = randomised(space)
    x, compared, off = inputs(space, 16), 0, 0
    for architecture in drawn(space, 12):
        calibration = net.calibrate(architecture, inputs(space, 32, 1).chunk(2))
        plain = extract(net, architecture, calibration)
        given = read(plain, x)
        for y in plain.layers:
            if y.path not in given:
                continue
            module = plain.module(y.path)
            assert isinstance(module, Quantized)
            assert y.precision.weight is not None
            codes, _ = weight_codes(net.weighted(y.path).active(y), y.precision.weight)
            assert torch.equal(codes.to(torch.int8), module.codes)
            with torch.no_grad(), net.active(architecture, calibration):
                ours, theirs = net.computed(y, given[y.path]), module(given[y.path])
            if not y.out8 or y.activation != "none":
                compared += theirs.numel()
                assert_close(ours, theirs, rtol=1e-4, atol=1e-5 * float(theirs.abs().max().clamp_min(1)))
                continue
            grid = plain.grid(y.path)
            steps = ((grid(ours) - grid(theirs)) / grid.scale).round().abs()
            assert int(steps.max()) <= 1
            compared, off = compared + steps.numel(), off + int((steps > 0).sum())
    assert compared > 0
    assert off <= 0.001 * compared


def test_a_reader_of_fewer_bits_rounds_what_is_stored_in_eight() -> None:
    """On the grid over the range of the stored one; what it reads has no more values than its bits can tell apart."""
    space = small("eqnet_resnet18")
    net = randomised(space)
    names = {c.name: min(c.values) for c in space.choices if c.name.endswith("inputs.bits")}
    architecture = space.complete(names | KERNELS, generator(0, "test"))
    calibration = net.calibrate(architecture, inputs(space, 32, 1).chunk(2))
    plain = extract(net, architecture, calibration)
    module = plain.module("stages.0.0.conv1")
    assert isinstance(module, Quantized)
    assert module.grid is not None
    assert len(module.grid(torch.linspace(-3, 9, 1_000)).unique()) <= 4
    assert repr(module.grid).startswith("Grid(")


def test_a_narrower_grid_spans_the_range_of_the_stored_one() -> None:
    scale, zero = activation_grid(torch.tensor(-1.0), torch.tensor(3.0), ACTIVATION)
    spec = parse("w4a4").input
    assert spec is not None
    narrow, narrow_zero = narrowed(scale, zero, ACTIVATION, spec)
    assert_close(narrow, torch.tensor(4 / 15), rtol=0.01, atol=0)
    ends = quantize_activation(torch.tensor([-9.0, 9.0]), narrow, narrow_zero, spec)
    assert_close(ends, torch.tensor([-1.0, 3.0]), rtol=0, atol=float(narrow) / 2)
    eight = parse("w8a8").input
    assert eight is not None
    assert narrowed(scale, zero, ACTIVATION, eight) == (scale, zero)
