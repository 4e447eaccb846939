"""What each scheme does in a step, by its rules; what all have in common is in ``test_schemes.py``."""

from __future__ import annotations

import math
import re
from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor

import spaces
from spaces import Architecture, Space
from spaces.dimensions import bits, dimensions
from supernets import NotTrainable, build
from supernets.training import Setting
from supernets.training.distribution import kurtosis, regularised, skewness, weight_distribution_loss
from supernets.training.schemes.alpha_divergence import AlphaDivergence, adaptive, alpha_divergence
from supernets.training.schemes.attentive import Attentive
from supernets.training.schemes.base import shown
from supernets.training.schemes.eqnet import EqNet
from supernets.training.schemes.fair import Fair
from supernets.training.schemes.progressive import Progressive
from supernets.training.schemes.sandwich import ZERO_GAIN, Sandwich, branches
from supernets.training.schemes.uniform import Uniform
from tests.examples import PLAIN, RESIDUAL, space_of
from tests.subnets import Toy

SPACE, JOINED = space_of(PLAIN), space_of(RESIDUAL)
BITS = space_of("""
model: {family: convnet, input: [2, 5, 5], classes: 3, stages: [{depth: 2, width: {choice: [4, 6]}}]}
precision:
  split: true
  weights:
    bits: {range: [2, 8]}
    granularity: {choice: [tensor, channel]}
    symmetry: {choice: [symmetric, asymmetric]}
  inputs: {bits: {range: [2, 8]}, symmetry: {choice: [symmetric, asymmetric]}}
""")


def setting(space: Space = SPACE, steps: int = 100) -> Setting:
    """Seed 0."""
    return Setting(space, 0, steps)


def gradients(scheme: Sandwich | Uniform | EqNet, labels: Tensor | None = None) -> dict[str, Tensor]:
    """Those of one step on the same images."""
    net = build(scheme.space, seed=0).train()
    x, known = Toy(scheme.space).draw(16, seed=0)
    scheme.backward(net, x, known if labels is None else labels, step=3)
    return {name: p.grad for name, p in net.named_parameters() if p.grad is not None}


def noted(scheme: Sandwich | EqNet | Uniform) -> list[tuple[str, Tensor, Tensor | None]]:
    """The losses of one step: against targets or a teacher, the outputs, and the teacher's outputs."""
    found: list[tuple[str, Tensor, Tensor | None]] = []
    hard, soft = scheme.hard, scheme.soft

    def against_targets(outputs: Tensor, labels: Tensor, smoothing: float = 0.0) -> Tensor:
        found.append((f"hard {smoothing}", outputs.detach(), None))
        return hard(outputs, labels, smoothing)

    def against_teacher(outputs: Tensor, teacher: Tensor) -> Tensor:
        found.append(("soft", outputs.detach(), teacher))
        return soft(outputs, teacher)

    scheme.hard, scheme.soft = against_targets, against_teacher
    gradients(scheme)
    return found


# --- uniform, fair ----------------------------------------------------------------------------------------------------


def test_uniform_trains_as_many_as_asked_by_the_labels_alone() -> None:
    assert [what for what, _, _ in noted(Uniform(setting()))] == ["hard 0.05"]
    assert [what for what, _, _ in noted(Uniform(setting(), subnets=4, smoothing=0.1))] == ["hard 0.1"] * 4


def test_fair_names_the_choice_that_is_not_always_there() -> None:
    message = (
        "scheme fair cannot train space example: choice stages.0.1.kernel is there only where stages.0.depth in [2]: "
        "its values cannot come equally"
    )
    with pytest.raises(NotTrainable, match=rf"\A{re.escape(message)}\Z"):
        Fair(setting())


# --- sandwich ---------------------------------------------------------------------------------------------------------


def test_only_the_largest_is_smoothed_and_half_the_loss_of_the_others_is_its_own() -> None:
    found = noted(Sandwich(setting(), subnets=1, smoothing=0.1))
    assert [what for what, _, _ in found] == ["hard 0.1", "hard 0.0", "soft", "hard 0.0", "soft"]
    for what, _, teacher in found:
        if what == "soft":
            assert teacher is not None
            assert torch.equal(teacher, found[0][1])


@pytest.mark.parametrize(("distillation", "expected"), [(1.0, ["soft"] * 2), (0.0, ["hard 0.0"] * 2)])
def test_distillation_may_be_all_or_nothing(distillation: float, expected: list[str]) -> None:
    found = noted(Sandwich(setting(), subnets=1, distillation=distillation))
    assert [what for what, _, _ in found] == ["hard 0.05", *expected]


def test_residual_branches_may_start_near_zero_and_still_learn() -> None:
    net = build(JOINED, seed=0).train()
    scheme = Sandwich(setting(JOINED), zero_residuals=True)
    scheme.start(net)
    ends = branches(net)
    assert ends == ["stages.0.1.conv", "stages.1.1.conv"]
    for path in JOINED.precisions:
        norm = net.weighted(path).norm
        if norm is not None:
            assert float(norm.weight.detach().max()) == pytest.approx(ZERO_GAIN if path in ends else 1.0)
    x, labels = Toy(JOINED).draw(16, seed=0)
    scheme.backward(net, x, labels, step=0)
    for path in ends:
        norm = net.weighted(path).norm
        assert norm is not None
        assert norm.weight.grad is not None
        assert norm.weight.grad.any()
    plain = build(JOINED, seed=0)
    Sandwich(setting(JOINED)).start(plain)
    assert all(torch.equal(a, b) for a, b in zip(plain.parameters(), build(JOINED, seed=0).parameters(), strict=True))


# --- progressive ------------------------------------------------------------------------------------------------------


def test_dimensions_become_elastic_one_after_the_other() -> None:
    scheme = Progressive(setting(steps=500))
    kinds = dimensions(SPACE)
    for step in range(0, 500, 50):
        drawn = [scheme.subnet(step, np.random.default_rng(k)) for k in range(60)]
        varied = {kinds[n] for a in drawn for n in a if n in scheme.largest and a[n] != scheme.largest[n]}
        assert varied == set(["kernel", "depth", "width", "precision"][: step // 100]), step
    assert len(noted_progressive(scheme, 50)) == 1
    assert len(noted_progressive(scheme, 150)) == 3


def noted_progressive(scheme: Progressive, step: int) -> list[Architecture]:
    """The subnets that one step trains."""
    net = build(SPACE, seed=0).train()
    seen: list[Architecture] = []
    active = net.active
    net.active = lambda architecture, calibration=None: (seen.append(architecture), active(architecture))[1]  # type: ignore
    scheme.backward(net, *Toy(SPACE).draw(16, seed=0), step)
    return seen


def test_smaller_values_come_one_after_the_other_within_a_phase() -> None:
    scheme = Progressive(setting(steps=500))
    width = next(c for c in SPACE.choices if c.name == "stages.0.width")
    assert [list(scheme.allowed(width, step)) for step in (299, 300, 349, 350, 499)] == [
        [6], [6, 4], [6, 4], [6, 4, 3], [3, 4, 6],
    ]  # fmt: skip


def test_phases_that_are_not_named_stay_at_their_largest() -> None:
    scheme = Progressive(setting(steps=300), phases=["width", "kernel"])
    kinds = dimensions(SPACE)
    drawn = [scheme.subnet(299, np.random.default_rng(k)) for k in range(60)]
    assert {kinds[n] for a in drawn for n in a if a[n] != scheme.largest[n]} == {"width", "kernel"}


# --- attentive --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("select", "pick"), [("best_up", min), ("worst_up", max)])
def test_the_best_or_the_worst_of_equally_costly_subnets_is_trained(
    select: str, pick: Callable[[list[float]], float]
) -> None:
    space = space_of(PLAIN.split("precision")[0])
    scheme = Attentive(setting(space), candidates=5, select=select)
    net = build(space, seed=0).train()
    x, labels = Toy(space).draw(16, seed=0)
    for slot in range(3):
        found = scheme.alike(7, slot)
        assert len(set(found)) == 5
        cost = space.cost(found)["bit_operations"].tolist()
        assert max(cost) < 1.5 * min(cost)
        losses = [float(scheme.hard(shown(net, a, x), labels)) for a in found]
        assert losses[found.index(scheme.chosen(net, x, labels, 7, slot))] == pick(losses)


# --- alpha divergence -------------------------------------------------------------------------------------------------


def logits(seed: int, scale: float = 1.0) -> Tensor:
    """(6, 5), double precision."""
    generator = torch.Generator().manual_seed(seed)
    return scale * torch.randn(6, 5, generator=generator, dtype=torch.float64)


def slope(function: Callable[[Tensor], Tensor], at: Tensor) -> Tensor:
    """Gradient of a mean."""
    x = at.clone().requires_grad_()
    (found,) = torch.autograd.grad(function(x).mean(), x)
    return found


@pytest.mark.parametrize("alpha", [-1.0, -0.5, 0.0, 0.5, 1.0, 2.0])
def test_the_loss_has_the_gradient_of_the_divergence(alpha: float) -> None:
    """Of its definition, by autograd, where no ratio is cut off; at 1 that of the Kullback-Leibler divergence."""
    student, log_p = logits(0, 0.1), logits(1, 0.1).log_softmax(-1)

    def divergence(x: Tensor) -> Tensor:
        log_q = x.log_softmax(-1)
        p, q = log_p.exp(), log_q.exp()
        if alpha == 0:
            return (q * (log_q - log_p)).sum(-1)
        if alpha == 1:
            return (p * (log_p - log_q)).sum(-1)
        return (q * ((p / q) ** alpha - 1)).sum(-1) / (alpha * (alpha - 1))

    value, _ = alpha_divergence(student.log_softmax(-1), log_p, alpha)
    assert torch.allclose(value, divergence(student))
    found = slope(lambda x: alpha_divergence(x.log_softmax(-1), log_p, alpha)[1], student)
    assert torch.allclose(found, slope(divergence, student), atol=1e-9)


@pytest.mark.parametrize("teacher", [[0.0, -math.inf, -math.inf], [1e5, -1e5, 0.0]])
@pytest.mark.parametrize("student", [[0.0, 0.0, 0.0], [-1e5, 1e5, 0.0], [1e5, -1e5, 0.0]])
@pytest.mark.parametrize("alpha", [-1.0, 0.0, 0.5, 1.0])
def test_a_teacher_that_is_certain_gives_finite_gradients(
    teacher: list[float], student: list[float], alpha: float
) -> None:
    log_p = torch.tensor([teacher]).log_softmax(-1)
    found = slope(lambda x: alpha_divergence(x.log_softmax(-1), log_p, alpha)[1], torch.tensor([student]))
    assert bool(torch.isfinite(found).all())
    both = slope(lambda x: adaptive(x, torch.tensor([teacher]), (-1.0, 1.0)), torch.tensor([student]))
    assert bool(torch.isfinite(both).all())


def test_of_two_divergences_the_larger_one_teaches() -> None:
    student, teacher = logits(2), logits(3)
    log_q, log_p = student.log_softmax(-1), teacher.log_softmax(-1)
    (low, low_loss), (high, high_loss) = (alpha_divergence(log_q, log_p, a) for a in (-1.0, 1.0))
    assert (low > high).any()
    assert (low < high).any()
    assert adaptive(student, teacher, (-1.0, 1.0)) == torch.where(low > high, low_loss, high_loss).mean()


def test_what_has_no_classes_is_refused() -> None:
    message = "scheme alpha_divergence compares classes, the loss here is l1"
    with pytest.raises(NotTrainable, match=rf"\A{message}\Z"):
        AlphaDivergence(Setting(SPACE, 0, 100, "l1"))


# --- eqnet ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("guidance", "teachers"), [("chain", [0, 1, 2]), ("largest", [0, 0, 0]), ("none", [])])
def test_each_subnet_is_taught_by_the_one_before_it(guidance: str, teachers: list[int]) -> None:
    found = noted(EqNet(setting(BITS), subnets=2, guidance=guidance))
    assert [what for what, _, _ in found if what != "soft"] == ["hard 0.05", *["hard 0.0"] * 3]
    outputs = [y for what, y, _ in found if what != "soft"]
    given = [teacher for what, _, teacher in found if what == "soft"]
    assert len(given) == len(teachers)
    for teacher, index in zip(given, teachers, strict=True):
        assert teacher is not None
        assert torch.equal(teacher, outputs[index])


def test_the_chain_goes_from_the_highest_bits_to_the_lowest() -> None:
    seen = set()
    for step in range(30):
        first, _, last = EqNet(setting(BITS)).subnets(step)
        for end, expected, width in ((first, 8, 6), (last, 2, 4)):
            assert {v for n, v in end.items() if isinstance(v, int) and "width" not in n} == {expected}
            assert end["stages.0.width"] == width
            seen.update(v for v in end.values() if isinstance(v, str))
    assert seen == {"tensor", "channel", "symmetric", "asymmetric"}
    first, _, last = EqNet(setting()).subnets(0)
    levels = [{bits(str(a[n])) for n in a if n in SPACE.outline.precision_choices} for a in (first, last)]
    assert levels == [{bits("float")}, {bits("w4a8")}]


def test_moments_of_known_distributions() -> None:
    uniform = torch.linspace(-1, 1, 100_001, dtype=torch.float64)
    assert float(kurtosis(uniform)) == pytest.approx(1.8, abs=1e-3)
    assert float(skewness(uniform)) == pytest.approx(0, abs=1e-9)
    normal = torch.randn(200_000, generator=torch.Generator().manual_seed(0))
    assert float(kurtosis(normal)) == pytest.approx(3, abs=0.05)
    assert float(skewness((uniform + 1) ** 2)) > 0.5
    assert float(weight_distribution_loss([uniform], 0.015, 1.0)) == pytest.approx(0, abs=1e-6)
    expected = 0.015 * (float(kurtosis(normal)) - 1.8) ** 2 + float(skewness(normal)) ** 2
    assert float(weight_distribution_loss([normal], 0.015, 1.0)) == pytest.approx(expected)


def test_the_regulariser_flattens_all_weights_but_those_of_the_first_layer() -> None:
    net = build(BITS, seed=0)
    weights = regularised(net)
    assert len(weights) == len(BITS.precisions) - 1
    assert all(w is not net.weighted("stages.0.0.conv").full for w in weights)
    before = [abs(float(kurtosis(w.detach())) - 1.8) for w in weights]
    optimiser = torch.optim.Adam(weights, lr=3e-2)
    for _ in range(40):
        optimiser.zero_grad()
        loss = weight_distribution_loss(weights, 0.015, 1.0)
        loss.backward()  # type: ignore[no-untyped-call]
        optimiser.step()
    after = [abs(float(kurtosis(w.detach())) - 1.8) for w in weights]
    assert sum(after) < 0.5 * sum(before)


def test_eqnet_trains_the_published_space() -> None:
    space = spaces.load("eqnet_resnet18")
    first, middle, last = EqNet(setting(space)).subnets(0)
    assert len({first, middle, last}) == 3
