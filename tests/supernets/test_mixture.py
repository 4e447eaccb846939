"""Mixture-of-Supernets: experts mixed by the architecture, and collapsed to ordinary weights on extraction."""

from __future__ import annotations

import re
from functools import cache

import pytest
import torch
from torch import Tensor
from torch.testing import assert_close

from spaces import Architecture, Space
from spaces.randomness import generator
from supernets import (
    CheckpointRefused,
    Mixture,
    NotTrainable,
    Recipe,
    Supernet,
    begin_with,
    build,
    extract,
    train,
    wrap,
)
from supernets.elastic.experts import ROUTINGS
from supernets.training.annealing import annealed
from supernets.training.schemes.base import taught
from tests.examples import PLAIN, RESIDUAL, space_of, with_precision
from tests.small import inputs, small
from tests.subnets import Kept, Toy, calibrated, images, randomised
from tests.supernets.wrapping.models import MODELS, made

BOTH = pytest.mark.parametrize("routing", ROUTINGS)
SPACE = space_of(PLAIN)
HEAD = list(SPACE.precisions)[-1]
small = cache(small)


def of(space: Space, routing: str, experts: int = 2) -> Supernet:
    """In ``eval()``, with routers that tell architectures well apart."""
    net = randomised(space, mixture=Mixture(experts, routing))
    assert net.router is not None
    with torch.no_grad():
        for parameter in net.router.heads.parameters():
            parameter.mul_(4)
    return net


def drawn(space: Space, count: int) -> list[Architecture]:
    """Uniform per choice."""
    return list(space.sample_many(count, generator(0, "test"), by_choice=True))


def output(net: Supernet, architecture: Architecture, x: Tensor) -> Tensor:
    """Of the subnet, with statistics of the batch."""
    with torch.no_grad(), net.active(architecture, net.calibrate(architecture, [x])):
        y: Tensor = net(x)
        return y


# --- the layers -------------------------------------------------------------------------------------------------------


@BOTH
def test_a_weight_is_the_sum_of_its_experts_slices_by_shares_that_sum_to_one(routing: str) -> None:
    net = of(SPACE, routing, experts=3)
    for architecture in drawn(SPACE, 4):
        shares = net.routing(architecture)
        for layer in net.layers(architecture):
            if layer.kind not in ("conv", "linear"):
                assert layer.path not in shares
                continue
            module, r = net.weighted(layer.path), shares[layer.path]
            assert r.shape == (3, 1 if routing == "layer" else len(module.full))
            assert_close(r.sum(dim=0), torch.ones_like(r[0]))
            rows = r.expand(3, len(module.full))[:, : layer.c_out].reshape(3, -1, *[1] * (module.full.dim() - 1))
            slices = torch.stack([module.sliced(w, layer) for w in (module.full, *module.weights)])
            assert_close(module.active(layer, r), (rows * slices).sum(dim=0))


def test_one_expert_is_the_ordinary_supernet_and_the_first_of_several_begin_as_its_weights() -> None:
    plain, one, two = (
        build(SPACE, 3, mixture=m) for m in (None, Recipe("mixture", options={"experts": 1}).mixture, Mixture())
    )
    assert all(torch.equal(v, one.state_dict()[n]) for n, v in plain.state_dict().items())
    assert list(plain.state_dict()) == list(one.state_dict())
    assert all(torch.equal(v, two.state_dict()[n]) for n, v in plain.state_dict().items())
    assert not torch.equal(two.weighted(HEAD).full, two.weighted(HEAD).weights[0])


@BOTH
def test_the_order_of_experts_does_not_matter(routing: str) -> None:
    net, x, architecture = of(SPACE, routing), images(SPACE, 8), SPACE.largest
    before = output(net, architecture, x)
    with torch.no_grad():
        for path in SPACE.precisions:
            module = net.weighted(path)
            pairs = [(module.full, module.weights[0])] + (
                [(module.bias, module.biases[0])] if module.bias is not None else []
            )
            for a, b in pairs:
                kept = a.clone()
                a.copy_(b)
                b.copy_(kept)
        assert net.router is not None
        for head in net.router.heads.values():
            for parameter in head.parameters():
                parameter.copy_(torch.cat(parameter.chunk(2)[::-1]))
    assert_close(output(net, architecture, x), before, rtol=1e-4, atol=1e-5)


@BOTH
def test_routers_and_all_experts_get_gradients_and_two_passes_may_share_a_selection(routing: str) -> None:
    net = of(SPACE, routing).train()
    x = images(SPACE, 8)
    taught(net, SPACE.largest, x, lambda y: y.square().mean())
    for name, parameter in net.named_parameters():
        assert parameter.grad is not None, name
        assert bool((parameter.grad != 0).any()), name
    with net.active(SPACE.largest):
        for _ in range(2):
            net(x).square().mean().backward()


def test_shares_follow_the_architecture() -> None:
    net = of(SPACE, "layer")
    a, b = (net.routing(SPACE.extreme(pick, "float"))[HEAD] for pick in (max, min))
    assert float((a - b).detach().abs().max()) > 0.01


def test_layers_with_experts_are_not_read_without_shares() -> None:
    net = of(SPACE, "layer")
    layer = net.layers(SPACE.largest)[0]
    message = f"{layer.path}: its experts need the shares of an architecture: pass those of `routing`"
    with pytest.raises(RuntimeError, match=rf"\A{re.escape(message)}\Z"):
        net.weighted(layer.path).active(layer)
    message = "annealing knows one weight per layer: this supernet has experts"
    with pytest.raises(ValueError, match=rf"\A{message}\Z"), annealed(net, [SPACE.largest]):
        pass


# --- one function, three forms ----------------------------------------------------------------------------------------


@BOTH
@pytest.mark.parametrize("text", [PLAIN, RESIDUAL], ids=["plain", "residual"])
def test_codes_of_a_quantized_slice_are_those_of_its_extraction(text: str, routing: str) -> None:
    net, x = of(space_of(text), routing), images(space_of(text), 32)
    for precision in ("w8a8", "w4a8"):
        architecture = net.space.extreme(max, precision)
        calibration = calibrated(net, architecture)
        plain, shares = extract(net, architecture, calibration), net.routing(architecture)
        for layer in net.layers(architecture):
            if layer.kind in ("conv", "linear"):
                codes = net.weighted(layer.path).codes(layer, shares[layer.path]).codes
                assert torch.equal(codes.to(torch.int8), plain.module(layer.path).codes)
        with torch.no_grad(), net.active(architecture, calibration):
            assert_close(plain(x), net(x), rtol=1e-3, atol=1e-3)


@BOTH
@pytest.mark.parametrize(
    "name", ["bignas", "darts", "gpt_grouped", "gpt_tangle", "hat", "nasbench201", "autoformer_tiny"]
)
def test_a_slice_is_its_extraction_of_the_ordinary_size(name: str, routing: str) -> None:
    """Every kind of network, in double precision."""
    space = small(name)
    net = of(space, routing).double()
    x = inputs(space, 4)
    x = x if x.dtype == torch.int64 else x.double()
    drawn_here = drawn(space, 2)
    for architecture in [with_precision(space, a, "float") if space.uniform("float") else a for a in drawn_here]:
        calibration = net.calibrate(architecture, [x])
        plain = extract(net, architecture, calibration)
        assert sum(p.numel() for p in plain.parameters()) == sum(
            p.numel() for p in extract(build(space).double().eval(), architecture, calibration).parameters()
        )
        with torch.no_grad(), net.active(architecture, calibration):
            assert_close(plain(x), net(x), rtol=1e-9, atol=1e-9)


# --- training ---------------------------------------------------------------------------------------------------------


def test_a_recipe_trains_only_the_supernet_it_needs() -> None:
    recipe = Recipe("mixture", epochs=1, options={"routing": "neuron"})
    assert recipe.mixture == Mixture(2, "neuron")
    message = (
        "scheme mixture trains a supernet of 2 experts per layer, mixed by neuron; this one has one weight per layer: "
        "build it with mixture=recipe.mixture"
    )
    with pytest.raises(NotTrainable, match=rf"\A{re.escape(message)}\Z"):
        train(build(SPACE), Toy(SPACE), recipe, Kept(), 0)
    message = (
        "scheme sandwich trains a supernet of one weight per layer; this one has 2 experts per layer, mixed by neuron: "
        "build it with mixture=recipe.mixture"
    )
    with pytest.raises(NotTrainable, match=rf"\A{re.escape(message)}\Z"):
        train(build(SPACE, mixture=Mixture()), Toy(SPACE), Recipe(epochs=1), Kept(), 0)


def test_a_checkpoint_of_another_mixture_is_refused_by_name() -> None:
    two = Recipe("mixture", epochs=1, options={"experts": 2})
    kept = Kept()
    train(build(SPACE, mixture=two.mixture), Toy(SPACE), two, kept, 0)
    three = Recipe("mixture", epochs=1, options={"experts": 3})
    what = "checkpoint after epoch 1: it is of another recipe: options {'experts': 2}, this has {'experts': 3}"
    with pytest.raises(CheckpointRefused, match=rf"\A{re.escape(what)}\Z"):
        train(build(SPACE, mixture=three.mixture), Toy(SPACE), three, kept, 0)


@BOTH
def test_weights_of_ones_own_begin_all_experts(routing: str) -> None:
    """Near each other, so that the subnet is nearly the one it was, and not equal, so that they part."""
    plain, net = randomised(SPACE), of(SPACE, routing)
    begin_with(net, plain.state_dict())
    x = images(SPACE, 16)
    a, b = output(net, SPACE.extreme(max, "float"), x), output(plain, SPACE.extreme(max, "float"), x)
    assert_close(a, b, rtol=0, atol=0.1 * float(b.std()))
    head = net.weighted(HEAD)
    assert not torch.equal(head.full, head.weights[0])
    with pytest.raises(RuntimeError, match=rf"Missing key\(s\) in state_dict: \"elastic\.{re.escape(HEAD)}\.weight\""):
        begin_with(net, {n: v for n, v in plain.state_dict().items() if n != f"elastic.{HEAD}.weight"})


@pytest.mark.parametrize("name", MODELS)
def test_a_model_of_ones_own_gets_experts(name: str) -> None:
    """Layers of a traced network, also ones that run twice or share a weight."""
    module, x = made(name)
    wrapped = wrap(module, x, {"precision": ["float"]}).double()
    net = of(wrapped.space, "neuron").double()
    begin_with(net, wrapped.state_dict())
    inputs_ = tuple(t.double() if t.is_floating_point() else t for t in x)
    for architecture in drawn(net.space, 2):
        calibration = net.calibrate(architecture, [inputs_])
        with torch.no_grad(), net.active(architecture, calibration):
            assert_close(extract(net, architecture, calibration)(*inputs_), net(*inputs_), rtol=1e-9, atol=1e-9)
