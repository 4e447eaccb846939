"""Weights that do not change are rounded once, and nothing else is different."""

from __future__ import annotations

from collections import Counter

import pytest
import torch
from torch import Tensor

from spaces import Architecture, Layer
from spaces.randomness import generator
from supernets import Calibration, Mixture, Supernet
from supernets.elastic import ElasticWeighted
from tests.examples import PLAIN, mobile, space_of
from tests.small import EVERY_EXPORTED, elastic_in_precision, inputs
from tests.subnets import randomised


def twice(net: Supernet, architecture: Architecture, calibration: Calibration, fixed: bool) -> list[Tensor]:
    """Outputs on two parts of a split."""
    with torch.no_grad(), net.active(architecture, calibration, fixed):
        return [net(part) for part in inputs(net.space, 6).chunk(2)]


def check(net: Supernet, count: int) -> None:
    """The same bits, of drawn subnets."""
    for architecture in net.space.sample_many(count, generator(0, "test"), by_choice=True):
        calibration = net.calibrate(architecture, inputs(net.space, 32, seed=1).chunk(2))
        fixed, plain = (twice(net, architecture, calibration, how) for how in (True, False))
        assert all(map(torch.equal, fixed, plain))


@pytest.mark.parametrize("name", EVERY_EXPORTED)
def test_outputs_are_the_same_bits(name: str) -> None:
    check(randomised(elastic_in_precision(name)), 2)


def test_outputs_of_experts_are_the_same_bits() -> None:
    check(randomised(space_of(PLAIN), mixture=Mixture(experts=2)), 3)


def test_weights_are_rounded_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of each layer, whatever the number of parts; and anew within another ``active``, with what they are then."""
    net = randomised(mobile("w8a8"))
    architecture = net.space.largest
    calibration = net.calibrate(architecture, inputs(net.space, 32, seed=1).chunk(2))
    rounded: Counter[str] = Counter()
    before = ElasticWeighted.rounded

    def counted(self: ElasticWeighted, layer: Layer, shares: Tensor | None = None) -> Tensor:
        rounded[layer.path] += 1
        return before(self, layer, shares)

    monkeypatch.setattr(ElasticWeighted, "rounded", counted)
    first = twice(net, architecture, calibration, fixed=True)
    assert set(rounded.values()) == {1}
    twice(net, architecture, calibration, fixed=False)
    assert set(rounded.values()) == {3}
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.mul_(1.5)
    assert not torch.equal(first[0], twice(net, architecture, calibration, fixed=True)[0])


def test_with_gradients_nothing_is_kept() -> None:
    """Whoever wants them has them, of every pass."""
    net = randomised(mobile("w8a8"))
    architecture = net.space.largest
    calibration = net.calibrate(architecture, inputs(net.space, 32, seed=1).chunk(2))
    with net.active(architecture, calibration, fixed=True):
        for part in inputs(net.space, 4).chunk(2):
            net(part).sum().backward()
    assert any(p.grad is not None and bool(p.grad.any()) for p in net.parameters())
