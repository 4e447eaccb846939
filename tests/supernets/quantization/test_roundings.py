"""What every rounding keeps to, and how its errors are spread."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from spaces.precision import ROUNDINGS as NAMES
from spaces.precision.forms import format_of
from supernets.quantization.formats import Number, number
from supernets.quantization.roundings import ROUNDINGS, learned, share, start, undecided

INT4 = number(format_of("int", 4, True))
FORMATS = {rounding: number(format_of("pow2", 4, True)) if rounding == "geometric" else INT4 for rounding in ROUNDINGS}
EVERY = pytest.mark.parametrize("name", ROUNDINGS)


def draws(seed: int = 0) -> torch.Generator:
    """Random numbers that repeat."""
    return torch.Generator().manual_seed(seed)


def uniform(form: Number, count: int = 4_000) -> Tensor:
    """Values within and beyond the range."""
    end = float(form.nearest(torch.tensor(1e6, dtype=torch.float64)))
    return (torch.rand(count, generator=draws(9), dtype=torch.float64) * 2 - 1) * end * 1.2


def test_every_rounding_is_known_as_data() -> None:
    assert set(ROUNDINGS) == set(NAMES)


@EVERY
def test_evaluation_gives_levels_and_nothing_random(name: str) -> None:
    form = FORMATS[name]
    u = uniform(form)
    y = ROUNDINGS[name].evaluation(form, u, draws(1))
    assert torch.equal(y, form.nearest(y))
    assert torch.equal(y, ROUNDINGS[name].evaluation(form, u, draws(2)))
    assert torch.equal(y, ROUNDINGS[name].evaluation(form, y, None))


@EVERY
def test_training_repeats_itself_from_equal_draws(name: str) -> None:
    form = FORMATS[name]
    u = uniform(form)
    before = u.clone()
    y = ROUNDINGS[name].training(form, u, draws(1))
    assert torch.equal(y, ROUNDINGS[name].training(form, u, draws(1)))
    assert torch.equal(u, before)
    assert y.shape == u.shape
    if name in ("noise", "gaussian", "stochastic"):
        assert not torch.equal(y, ROUNDINGS[name].training(form, u, draws(2)))


def test_stochastic_rounding_is_right_on_average() -> None:
    """Variance f (1 - f): 0.21 at f = 0.3. Beyond the range it is the end of it, on a level the level."""
    y = ROUNDINGS["stochastic"].training(INT4, torch.full((200_000,), 2.3, dtype=torch.float64), draws())
    assert set(y.unique().tolist()) == {2.0, 3.0}
    assert float(y.mean()) == pytest.approx(2.3, abs=0.005)
    assert float(y.var()) == pytest.approx(0.21, abs=0.002)
    some = torch.tensor([-99.0, -7.0, 0.0, 3.0, 99.0])
    assert ROUNDINGS["stochastic"].training(INT4, some, draws()).tolist() == [-7.0, -7.0, 0.0, 3.0, 7.0]


@pytest.mark.parametrize(("name", "variance"), [("noise", 1 / 12), ("gaussian", 1 / 4)])
def test_noise_has_the_variance_of_rounding_or_as_published_three_times_it(name: str, variance: float) -> None:
    u = (torch.rand(200_000, generator=draws(3), dtype=torch.float64) * 2 - 1) * 7
    error = ROUNDINGS[name].training(INT4, u, draws()) - u
    assert float(error.mean()) == pytest.approx(0, abs=0.005)
    assert float(error.var()) == pytest.approx(variance, rel=0.02)
    assert float((INT4.nearest(u) - u).var()) == pytest.approx(1 / 12, rel=0.02)


def test_noise_is_as_wide_as_the_step_at_each_value() -> None:
    """Of a float format: from 4 to 6 the step is 2, below 2 a half."""
    form = number(format_of("e2m1", 4, True))
    for value, step in ((4.5, 2.0), (1.2, 0.5)):
        y = ROUNDINGS["noise"].training(form, torch.full((5_000,), value), draws())
        assert float((y - value).abs().max()) == pytest.approx(step / 2, rel=0.01)


def test_learned_rounding_starts_where_nothing_is_rounded_and_ends_on_levels() -> None:
    u = torch.linspace(-6.9, 6.9, 200, dtype=torch.float64)
    v = start(INT4, u).requires_grad_()
    soft = learned(INT4, u, v, hard=False)
    torch.testing.assert_close(soft, u, rtol=0, atol=0.011)
    soft.sum().backward()
    assert v.grad is not None
    assert (v.grad > 0).all()
    hard = learned(INT4, u, v, hard=True)
    near = (u - u.floor() - 0.5).abs() > 1e-9
    assert torch.equal(hard[near], INT4.nearest(u)[near])
    assert ((share(v) >= 0) & (share(v) <= 1)).all()


def test_the_pull_to_a_decision_is_least_at_zero_and_one() -> None:
    assert float(undecided(torch.tensor([-50.0, 50.0]), 2.0)) == pytest.approx(0)
    assert float(undecided(torch.tensor([0.0]), 2.0)) == pytest.approx(1)
