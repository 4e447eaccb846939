"""The contract of every training scheme: a new one passes it by one line in ``CASES``."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Any

import pytest
import torch
from torch import Tensor

from spaces import Architecture, Space
from supernets import Calibration, Recipe, Supernet, build, train
from supernets.training import SCHEMES, NotTrainable, Setting
from supernets.training.schemes.base import shown
from tests.examples import convnet, space_of
from tests.small import inputs, small
from tests.subnets import Kept, Toy

STAGES = "[{depth: {choice: [1, 2]}, width: {choice: [3, 5]}, kernel: {choice: [1, 3], per: block}, residual: true}]"
ELASTIC = convnet(STAGES, image=5, precision="{choice: [float, w8a8, w4a8], per: layer}")

LAYERWISE = space_of("""
model:
  family: layerwise
  input: [2, 5, 5]
  classes: 3
  operations:
    identity: {skip: true}
    mb3_k3: {kernel: 3, expand: 3}
    mb6_k5: {kernel: 5, expand: 6}
  stem: {width: 4, stride: 1}
  layers: [{width: 4, stride: 1}, {width: 6, stride: 2}]
""")


EPOCHS = 3


@dataclass(frozen=True)
class Case:
    """A space that the scheme can train, and options that make it touch nothing but the subnets of a step."""

    space: Space = ELASTIC
    options: Mapping[str, Any] = field(default_factory=dict)

    def recipe(self, name: str, epochs: int = EPOCHS, learning_rate: float = 3e-3) -> Recipe:
        """To train so."""
        return Recipe(name, epochs, learning_rate, options=self.options)


CASES: dict[str, Case] = {
    "alpha_divergence": Case(),
    "attentive": Case(),
    "eqnet": Case(options={"kurtosis": 0.0, "skewness": 0.0}),
    "fair": Case(LAYERWISE),
    "mixture": Case(options={"routing": "neuron"}),
    "progressive": Case(),
    "sandwich": Case(),
    "uniform": Case(),
}
every_scheme = pytest.mark.parametrize("name", CASES)


class Watched(Supernet):
    """Notes every subnet that is active."""

    def __init__(self, space: Space, recipe: Recipe) -> None:
        super().__init__(space, seed=0, mixture=recipe.mixture)
        self.seen: list[Architecture] = []

    def active(
        self, architecture: Architecture, calibration: Calibration | None = None
    ) -> AbstractContextManager[None]:
        self.seen.append(architecture)
        return super().active(architecture, calibration)


def run(
    name: str, seed: int = 0, kept: Kept | None = None, data: Toy | None = None
) -> tuple[dict[str, Tensor], list[float], Kept, list[str]]:
    """Weights, losses, checkpoints and notes of one training."""
    recipe, notes = CASES[name].recipe(name), []
    kept, net = kept or Kept(), build(CASES[name].space, seed=5, mixture=recipe.mixture)
    losses = train(net, data or Toy(CASES[name].space), recipe, kept, seed, note=notes.append)
    return {key: value.clone() for key, value in net.state_dict().items()}, losses, kept, notes


def equal(a: dict[str, Tensor], b: dict[str, Tensor]) -> bool:
    """Bit-equal."""
    return list(a) == list(b) and all(torch.equal(a[key], b[key]) for key in a)


def test_every_scheme_is_tested() -> None:
    assert set(CASES) == set(SCHEMES)


@every_scheme
def test_the_same_seed_gives_the_same_weights_and_another_one_others(name: str) -> None:
    first, losses, _, _ = run(name)
    torch.manual_seed(4711)
    again, same_losses, _, _ = run(name)
    assert equal(first, again)
    assert losses == same_losses
    assert not equal(first, run(name, seed=1)[0])


@every_scheme
def test_a_resumed_training_is_one_never_interrupted(name: str) -> None:
    expected, losses, kept, _ = run(name)
    for state in kept.all:
        torch.manual_seed(len(state[0]))
        resumed, resumed_losses, _, _ = run(name, kept=Kept(state))
        assert equal(resumed, expected)
        assert resumed_losses == losses


@every_scheme
def test_every_subnet_lies_in_the_space_and_gradients_stay_inside(name: str) -> None:
    """At the start, in the middle and at the end of the training; one thing trains at least."""
    case, steps = CASES[name], 40
    x, labels = Toy(case.space).draw(16, seed=0)
    for step in (0, steps // 2, steps - 1):
        net = Watched(case.space, case.recipe(name))
        net.train()
        loss = SCHEMES[name](Setting(case.space, 0, steps), **case.options).backward(net, x, labels, step)
        assert not loss.requires_grad
        assert math.isfinite(float(loss))
        assert net.seen
        inside: dict[Tensor, Tensor] = {}
        for architecture in net.seen:
            assert case.space.architecture(architecture) == architecture
            for layer in net.layers(architecture):
                if layer.kind in ("conv", "linear"):
                    module = net.weighted(layer.path)
                    mask = inside.setdefault(module.full, torch.zeros_like(module.full, dtype=torch.bool))
                    places = torch.arange(mask.numel()).reshape(mask.shape)
                    mask.view(-1)[module.sliced(places, layer)] = True
        moved = 0
        for path in case.space.precisions:
            weight = net.weighted(path).full
            if weight.grad is not None:
                outside = ~inside.get(weight, torch.zeros_like(weight, dtype=torch.bool))
                assert not weight.grad[outside].any(), path
                moved += int((weight.grad != 0).any())
        assert moved > 0


@every_scheme
def test_the_loss_falls(name: str) -> None:
    case = CASES[name]
    recipe = case.recipe(name, epochs=8, learning_rate=0.03)
    net = build(case.space, seed=0, mixture=recipe.mixture)
    losses = train(net, Toy(case.space, steps=8), recipe, Kept(), 0)
    assert losses[-1] < 0.8 * losses[0]


class _Broken(Toy):
    """The images of two steps are not finite."""

    def epoch(self, number: int) -> Iterator[tuple[Tensor, Tensor]]:
        for step, (x, labels) in enumerate(super().epoch(number)):
            yield (x * math.nan if number == 1 and step in (1, 2) else x), labels


@every_scheme
def test_a_loss_that_is_not_finite_is_skipped_and_noted(name: str) -> None:
    weights, losses, _, notes = run(name, data=_Broken(CASES[name].space))
    assert all(math.isfinite(loss) for loss in losses)
    assert all(bool(torch.isfinite(value).all()) for value in weights.values())
    assert notes == ["epoch 2: 2 of 4 steps were skipped, their loss or gradient were not finite"]


@every_scheme
def test_what_is_kept_of_it_is_plain_data(name: str) -> None:
    """Options survive JSON, so that a checkpoint knows its own recipe again."""
    facts = json.loads(run(name)[2].all[-1][1])
    assert facts["recipe"]["scheme"] == name
    assert len(facts["losses"]) == EPOCHS


UNTRAINABLE = {("fair", "hat"), ("fair", "quantnas_sr"), ("alpha_divergence", "quantnas_sr")}


@pytest.mark.parametrize("family", ["gpt_tangle", "hat", "nasbench201", "quantnas_sr"])
@every_scheme
def test_every_kind_of_network_is_trained_or_refused(name: str, family: str) -> None:
    """Language models, encoders and decoders, cells, pictures."""
    space = small(family)
    net, x = build(space, seed=0, mixture=Recipe(name).mixture).train(), inputs(space, 4)
    outputs = shown(net, space.largest, x)
    pictures = outputs.dim() == 4
    labels = torch.zeros_like(outputs) if pictures else torch.zeros(outputs.shape[:-1], dtype=torch.long)
    setting = Setting(space, 0, 10, "l1" if pictures else "cross_entropy")
    if (name, family) in UNTRAINABLE:
        with pytest.raises(NotTrainable, match=rf"\Ascheme {name} (cannot train|compares classes)"):
            SCHEMES[name](setting)
        return
    assert math.isfinite(float(SCHEMES[name](setting).backward(net, x, labels, 9)))
