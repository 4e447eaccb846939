"""Every space of the zoo, made small: a slice is its extraction, counted as the outline counts."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.testing import assert_close
from torch.utils.flop_counter import FlopCounterMode

from spaces import Architecture, Layer, Space
from spaces.extremes import with_words
from spaces.randomness import generator
from supernets import Network, Quantized, Simulated, Supernet, build, extract, fresh_network
from supernets.elastic import ELASTIC, ElasticWeighted
from tests.examples import with_precision
from tests.small import CHANGES, GRAPHS, inputs, small
from tests.subnets import randomised

ARCHITECTURES = 20
EVERY = pytest.mark.parametrize("name", [*CHANGES, *GRAPHS])
small = cache(small)


def floats(space: Space, count: int) -> list[Architecture]:
    """Random architectures, in float wherever precision is chosen as a whole."""
    drawn = space.sample_many(count, generator(0, "test"), by_choice=True)
    return [with_precision(space, a, "float") if space.uniform("float") else a for a in drawn]


def forms(
    net: Supernet, architecture: Architecture, x: Tensor, seen: Tensor | None = None
) -> tuple[Tensor, Tensor, Network]:
    """Outputs of the slice and of the extracted network, and the latter; statistics are of what was ``seen``."""
    calibration = net.calibrate(architecture, [x if seen is None else seen])
    plain = extract(net, architecture, calibration)
    with torch.no_grad(), net.active(architecture, calibration):
        return net(x), plain(x), plain


def quantized(plain: Network) -> bool:
    """Whether it has integer layers."""
    return any(isinstance(module, Quantized | Simulated) for module in plain.modules())


@EVERY
def test_a_slice_is_its_extraction(name: str) -> None:
    """In double precision, where no rounding hides a difference of the formulas; integer layers round steps."""
    space = small(name)
    net = randomised(space).double()
    x = inputs(space, 4)
    x = x if x.dtype == torch.int64 else x.double()
    for architecture in floats(space, ARCHITECTURES):
        expected, found, plain = forms(net, architecture, x)
        assert expected.isfinite().all()
        assert found.shape == expected.shape
        if not quantized(plain):
            assert_close(found, expected, rtol=1e-9, atol=1e-9)


@EVERY
def test_a_slice_is_its_extraction_in_single_precision_too(name: str) -> None:
    space = small(name)
    net = randomised(space)
    for architecture in floats(space, 3):
        expected, found, plain = forms(net, architecture, inputs(space, 8), inputs(space, 64, seed=1))
        if not quantized(plain):
            assert_close(found, expected, rtol=1e-4, atol=5e-5 * float(expected.abs().max().clamp_min(1)))


def counted(plain: Network) -> int:
    """Weights and biases, whatever they are stored as."""
    total = sum(p.numel() for p in plain.parameters())
    for layer in plain.layers:
        module = plain.module(layer.path) if layer.kind in ELASTIC else None
        if isinstance(module, Quantized | Simulated):
            total += module.codes.numel() + (layer.c_out if layer.bias or layer.norm else 0)
    return total


@EVERY
def test_the_outline_counts_what_the_extracted_network_has_and_does(name: str) -> None:
    """Parameters, and MACs as torch's own counter sees them: two operations each, those of attention included."""
    space = small(name)
    net = randomised(space)
    for architecture in floats(space, 5):
        _, _, plain = forms(net, architecture, inputs(space, 4))
        cost = space.cost([architecture])
        assert counted(plain) == int(cost["parameters"][0])
        with torch.no_grad(), sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as counter:
            plain(inputs(space, 1))
        assert counter.get_total_flops() == 2 * int(cost["macs"][0])


@EVERY
def test_an_extracted_network_stands_alone(name: str) -> None:
    """Its state loads into a fresh network of the architecture, and nothing of the supernet's is in it."""
    space = small(name)
    net = randomised(space)
    for architecture in floats(space, 2):
        _, expected, plain = forms(net, architecture, inputs(space, 4))
        fresh = fresh_network(space, architecture, seed=1).eval()
        fresh.load_state_dict({k: v.clone() for k, v in plain.state_dict().items()})
        with torch.no_grad():
            assert torch.equal(fresh(inputs(space, 4)), expected)
        theirs = {p.untyped_storage().data_ptr() for p in net.parameters()}
        assert not theirs & {p.untyped_storage().data_ptr() for p in plain.state_dict().values()}
        assert not plain.training
        assert all(layer.path in repr(plain) for layer in plain.layers)


def active(net: Supernet, layer: Layer) -> dict[str, Tensor]:
    """Of each parameter of a layer, which values the slice has: by the definition of a slice alone."""
    module = net.layer(layer.path)
    parts = list(module.parts(layer).values())
    if isinstance(module, ElasticWeighted) and module.norm is not None:
        rows = module.rows(layer)
        parts += [module.norm.gain(layer.c_out, rows), module.norm.shift(layer.c_out, rows)]
    names, parameters = zip(*module.named_parameters(), strict=True)
    total = torch.stack([part.sum() for part in parts]).sum()
    return {n: g != 0 for n, g in zip(names, torch.autograd.grad(total, parameters), strict=True)}


def gradients(net: Supernet, architecture: Architecture) -> Iterator[tuple[str, Tensor]]:
    """Name and gradient of each parameter after one backward pass; zeros where there is none."""
    net.zero_grad()
    x = inputs(net.space, 6)
    with net.active(architecture):
        y = net(x)
    weights = torch.randn(y.shape, generator=torch.Generator().manual_seed(1))
    F.mse_loss(y, weights).backward()
    for name, p in net.named_parameters():
        yield name, torch.zeros_like(p) if p.grad is None else p.grad


@EVERY
def test_gradients_reach_what_is_active_and_nothing_else(name: str) -> None:
    space = small(name)
    net = randomised(space).train()
    for architecture in floats(space, 4):
        layers = [y for y in net.layers(architecture) if y.kind in ELASTIC]
        own = [y for y in layers if list(net.layer(y.path).parameters())]  # a tied layer may have none
        used = {f"elastic.{y.path.replace('.', '/')}.{n}": mask for y in own for n, mask in active(net, y).items()}
        reached = read_by_output(net.layers(architecture))
        for parameter, gradient in gradients(net, architecture):
            mask = used.get(parameter, torch.zeros_like(gradient) != 0)
            assert gradient.isfinite().all()
            assert not gradient[~mask].any(), parameter
            path = parameter.removeprefix("elastic.").split(".")[0].replace("/", ".")
            if path in reached and parameter.endswith("weight"):
                assert gradient[mask].any(), parameter


def read_by_output(layers: tuple[Layer, ...]) -> set[str]:
    """Paths of the layers whose output the network's depends on; none where zeros may be all that a layer reads."""
    if any(layer.kind == "zero" for layer in layers):
        return set()
    found = {layers[-1].path}
    for layer in reversed(layers):
        found |= set(layer.inputs) if layer.path in found else set()
    return found


BOUNDED = ("shortcut",)
"""Layers whose largest form is a bound that none reaches: they are there only where two widths differ."""


@pytest.mark.parametrize("name", CHANGES)
def test_the_largest_subnet_uses_every_weight_of_its_layers(name: str) -> None:
    """Where operations are chosen no subnet has all layers; then the largest ones of each operation together have."""
    space = small(name)
    net = build(space)
    words = [c for c in space.choices if c.name not in space.outline.precision_choices and isinstance(c.values[0], str)]
    largest = [space.largest, *(with_words(space, max, "float", {c.name: v}) for c in words for v in c.values)]
    largest += space.sample_many(800 if words else 0, generator(0, "test"), by_choice=True)
    waiting = {r.path for r in space.outline.records if r.kind in ELASTIC and not any(b in r.path for b in BOUNDED)}
    waiting -= {path for path in waiting if not list(net.layer(path).parameters())}
    for architecture in largest:
        for layer in net.layers(architecture):
            if layer.path in waiting and all(mask.all() for mask in active(net, layer).values()):
                waiting.remove(layer.path)
    assert not waiting
