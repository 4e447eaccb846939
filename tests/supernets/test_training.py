"""Training: it learns, repeats itself bit for bit, resumes after every epoch, and stops when it diverges."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator

import pytest
import torch
from safetensors.torch import load
from torch import Tensor

from spaces import Space
from supernets import CheckpointRefused, Recipe, Supernet, TrainingDiverged, build, threads, train
from supernets.training.losses import cross_entropy, distillation
from supernets.training.schemes import SCHEMES, Setting
from supernets.training.schemes.sandwich import Sandwich
from supernets.training.state import Maker
from tests.examples import space_of
from tests.subnets import Kept, Toy, calibrated, images

SPACE = space_of("""
model:
  family: convnet
  input: [2, 5, 5]
  classes: 3
  stages: [{depth: {choice: [1, 2]}, width: {choice: [3, 5]}, kernel: {choice: [1, 3], per: block}, residual: true}]
precision: {choice: [float, w8a8, w4a8], per: layer}
""")
RECIPE = Recipe(epochs=4)
ADVICE = ": lower the learning rate"


def weights(net: Supernet) -> dict[str, Tensor]:
    """A copy of all weights."""
    return {name: value.clone() for name, value in net.state_dict().items()}


def equal(a: dict[str, Tensor], b: dict[str, Tensor]) -> bool:
    """Bit-equal."""
    return list(a) == list(b) and all(torch.equal(a[name], b[name]) for name in a)


def run(
    seed: int = 0, kept: Kept | None = None, data: Toy | None = None
) -> tuple[dict[str, Tensor], list[float], Kept]:
    """Weights, losses and checkpoints of one training."""
    kept = kept or Kept()
    net = build(SPACE, seed=5)
    losses = train(net, data or Toy(SPACE), RECIPE, kept, seed)
    return weights(net), losses, kept


def test_the_loss_falls_and_the_toy_is_learnt() -> None:
    net = build(SPACE, seed=0)
    seen: list[tuple[int, int, float]] = []
    losses = train(
        net, Toy(SPACE, steps=6), Recipe(epochs=10, learning_rate=0.03), Kept(), 0, lambda *facts: seen.append(facts)
    )
    assert losses[-1] < 0.7 * losses[0]
    assert [facts[:2] for facts in seen] == [(i + 1, 60) for i in range(60)]
    assert losses == [sum(loss for _, _, loss in seen[i : i + 6]) / 6 for i in range(0, 60, 6)]
    assert not net.training
    x, labels = Toy(SPACE).draw(200, seed=12345)
    for precision in ("float", "w8a8"):
        architecture = SPACE.extreme(max, precision)
        with torch.no_grad(), net.active(architecture, net.calibrate(architecture, Toy(SPACE).calibration())):
            assert float((net(x).argmax(dim=1) == labels).float().mean()) > 0.8


def test_the_same_seed_gives_the_same_weights_and_another_one_others() -> None:
    """Whatever torch's global generator and thread count are."""
    first, losses, _ = run()
    torch.manual_seed(4711)
    again, same_losses, _ = run()
    assert equal(first, again)
    assert losses == same_losses
    other, _, _ = run(seed=1)
    assert not equal(first, other)


def test_a_training_killed_after_any_epoch_resumes_to_the_same_bits() -> None:
    expected, losses, kept = run()
    assert len(kept.all) == RECIPE.epochs
    for done, state in enumerate(kept.all, start=1):
        torch.manual_seed(done)
        resumed, resumed_losses, more = run(kept=Kept(state))
        assert equal(resumed, expected), done
        assert resumed_losses == losses
        assert [facts for _, facts in more.all] == [facts for _, facts in kept.all[done - 1 :]]
        assert all(a == b for (a, _), (b, _) in zip(more.all, kept.all[done - 1 :], strict=True))


class _Killed(Exception):
    """Stands for the end of the process."""


class _Dying(Toy):
    """Dies in the middle of an epoch."""

    def epoch(self, number: int) -> Iterator[tuple[Tensor, Tensor]]:
        for step, batch in enumerate(super().epoch(number)):
            if (number, step) == (2, 1):
                raise _Killed("power cut")
            yield batch


def test_a_training_killed_within_an_epoch_repeats_that_epoch_only() -> None:
    expected, losses, _ = run()
    kept = Kept()
    with pytest.raises(_Killed, match="power cut"):
        run(kept=kept, data=_Dying(SPACE))
    assert len(kept.all) == 2
    resumed, resumed_losses, _ = run(kept=kept)
    assert equal(resumed, expected)
    assert resumed_losses == losses


def test_threads_are_set_within_and_restored_after() -> None:
    before = torch.get_num_threads()
    with threads(before + 1):
        assert torch.get_num_threads() == before + 1
    assert torch.get_num_threads() == before


# --- what goes wrong --------------------------------------------------------------------------------------------------


class _Broken(Toy):
    """Images are not finite from ``start`` on, a step count over all epochs; ``length`` of them."""

    def __init__(self, space: Space, steps: int, start: int, length: int) -> None:
        super().__init__(space, steps)
        self.broken = range(start, start + length)

    def epoch(self, number: int) -> Iterator[tuple[Tensor, Tensor]]:
        for step, (x, labels) in enumerate(super().epoch(number)):
            yield (x * math.nan if number * self.steps + step in self.broken else x), labels


def finite(state: bytes) -> bool:
    """Whether a checkpoint holds finite weights and moments only."""
    return all(bool(torch.isfinite(value).all()) for value in load(state).values())


def test_a_few_bad_batches_are_skipped() -> None:
    result, losses, kept = run(data=_Broken(SPACE, steps=4, start=3, length=3))
    assert all(math.isfinite(loss) for loss in losses)
    assert all(bool(torch.isfinite(value).all()) for value in result.values())
    assert all(finite(state) for state, _ in kept.all)


def test_a_loss_that_stays_nan_stops_the_training_with_a_good_checkpoint() -> None:
    what = "loss or gradient were not finite 20 times in a row"
    message = f"epoch 2: {what}; the last good checkpoint is that after epoch 1{ADVICE}"
    kept = Kept()
    with pytest.raises(TrainingDiverged, match=rf"^{re.escape(message)}$"):
        run(kept=kept, data=_Broken(SPACE, steps=30, start=35, length=1_000))
    assert len(kept.all) == 1
    assert finite(kept.all[0][0])


def test_a_short_epoch_without_a_finite_loss_stops_the_training() -> None:
    message = f"epoch 3: no step had a finite loss and gradient; the last good checkpoint is that after epoch 2{ADVICE}"
    with pytest.raises(TrainingDiverged, match=rf"^{re.escape(message)}$"):
        run(data=_Broken(SPACE, steps=4, start=8, length=4))


def test_an_infinite_gradient_of_a_finite_loss_never_reaches_the_weights(monkeypatch: pytest.MonkeyPatch) -> None:
    """Clipping would turn it into nan in every weight."""

    class Overflowing(Sandwich):
        def backward(self, net: Supernet, images: Tensor, labels: Tensor, step: int) -> Tensor:
            loss = super().backward(net, images, labels, step)
            if step == 5:
                next(iter(net.parameters())).grad.fill_(math.inf)  # type: ignore[union-attr]
            return loss

    monkeypatch.setitem(SCHEMES, "sandwich", Overflowing)
    result, losses, _ = run()
    assert all(math.isfinite(loss) for loss in losses)
    assert all(bool(torch.isfinite(value).all()) for value in result.values())


def again(net_space: Space = SPACE, seed: int = 0, recipe: Recipe = RECIPE, kept: Kept | None = None) -> None:
    """A training that finds the checkpoints of another one."""
    train(build(net_space, seed=5), Toy(net_space), recipe, kept or run()[2], seed)


def test_a_checkpoint_of_something_else_is_refused_by_name() -> None:
    _, _, kept = run()
    other = space_of("model: {family: convnet, input: [2, 5, 5], classes: 3, stages: [{width: 2}]}", "other")
    place = "checkpoint after epoch 4: it is of"
    found = f"space example ({SPACE.digest}), this is other ({other.digest})"
    with pytest.raises(CheckpointRefused, match=rf"\A{re.escape(f'{place} {found}')}\Z"):
        again(other, kept=kept)
    with pytest.raises(CheckpointRefused, match=rf"\A{place} seed 0, this is 1\Z"):
        again(seed=1, kept=kept)
    with pytest.raises(CheckpointRefused, match=rf"\A{place} another recipe: epochs 4, this has 9\Z"):
        again(recipe=Recipe(epochs=9), kept=kept)
    said = "options {}, this has {'subnets': 3}"
    with pytest.raises(CheckpointRefused, match=rf"\A{place} another recipe: {re.escape(said)}\Z"):
        again(recipe=Recipe(epochs=4, options={"subnets": 3}), kept=kept)


def test_a_checkpoint_that_is_cut_is_refused_by_name() -> None:
    _, _, kept = run()
    state, facts = kept.all[1]
    with pytest.raises(CheckpointRefused, match=r"\Acheckpoint after epoch 2: its state is damaged: .+\Z"):
        again(kept=Kept((state[:-9], facts)))


# --- scheme and schedule ----------------------------------------------------------------------------------------------


def test_the_sandwich_is_largest_smallest_and_two_drawn_for_the_step() -> None:
    scheme = Sandwich(Setting(SPACE, 3, 100))
    subnets = scheme.subnets(7)
    assert subnets[0] == SPACE.largest
    assert subnets[1] == SPACE.extreme(min, "w4a8")
    assert len(subnets) == 4
    assert subnets == Sandwich(Setting(SPACE, 3, 100)).subnets(7)
    assert subnets[2:] != scheme.subnets(8)[2:]
    fixed = space_of("model: {family: convnet, input: [1, 2, 2], stages: [{width: 2}]}")
    assert Sandwich(Setting(fixed, 0, 100)).subnets(0) == [fixed.largest] * 4


def test_every_weight_of_the_supernet_gets_a_gradient() -> None:
    net = build(SPACE, seed=0).train()
    x, labels = Toy(SPACE).draw(16, seed=0)
    loss = Sandwich(Setting(SPACE, 0, 100)).backward(net, x, labels, step=0)
    assert not loss.requires_grad
    for name, parameter in net.named_parameters():
        assert parameter.grad is not None, name
        assert bool((parameter.grad != 0).any()), name


def test_the_learning_rate_warms_up_and_falls_to_zero() -> None:
    rates = [Recipe().factor(step, 400) for step in range(400)]
    assert rates[:40] == [(i + 1) / 40 for i in range(40)]
    assert rates[40:] == sorted(rates[40:], reverse=True)
    assert rates[40] == 1.0
    assert rates[-1] < 1e-4
    assert Recipe().factor(0, 1) == 1.0


def test_the_learning_rate_may_have_a_constant_tail() -> None:
    """BigNAS: never below 5 % of the peak; until there as without the tail."""
    tailed, plain = Recipe(learning_rate_floor=0.05), Recipe()
    rates = [tailed.factor(step, 400) for step in range(400)]
    assert min(rates[40:]) == rates[-1] == 0.05
    assert rates == [
        max(plain.factor(step, 400), 0.05) if step >= 40 else plain.factor(step, 400) for step in range(400)
    ]


def test_distillation_teaches_the_student_alone() -> None:
    student, teacher = torch.zeros(4, 3, requires_grad=True), torch.randn(4, 3, requires_grad=True)
    loss = distillation(student, teacher)
    loss.backward()  # type: ignore[no-untyped-call]
    assert float(loss.detach()) == pytest.approx(math.log(3))
    assert teacher.grad is None
    assert student.grad is not None
    assert float(cross_entropy(torch.zeros(4, 3), torch.tensor([0, 1, 2, 0]), 0.05)) == pytest.approx(math.log(3))


def test_training_mode_uses_the_statistics_of_the_mini_batch() -> None:
    """Shifted and scaled images give the same float logits; in evaluation they do not."""
    net = build(SPACE, seed=0).train()
    x = images(SPACE, 16)
    architecture = SPACE.extreme(max, "float")
    first = SPACE.architecture({**architecture, "stages.0.0.kernel": 1})  # no padding: a shift stays a shift
    with torch.no_grad(), net.active(first):
        a, b = net(x), net(3 * x)
    assert torch.allclose(a, b, atol=1e-3)
    net.eval()
    with torch.no_grad(), net.active(first, calibrated(net, first)):
        assert not torch.allclose(net(x), net(3 * x), atol=1e-2)


def test_a_checkpoint_from_before_a_setting_was_there_goes_on() -> None:
    """What it lacks is what it was made with: the default."""
    maker = Maker("space", "digest", 0, Recipe())
    facts = maker.facts([1.0])
    del facts["recipe"]["compile"]
    maker.refuse_other(facts)
    with pytest.raises(CheckpointRefused, match="compile False, this has True"):
        Maker("space", "digest", 0, Recipe(compile=True)).refuse_other(facts)
