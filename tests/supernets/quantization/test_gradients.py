"""Each gradient against the derivative of the function that it stands for; what all keep to."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor
from torch.testing import assert_close

from spaces.precision import GRADIENTS as NAMES
from spaces.precision import spec_of
from supernets.quantization import ElasticQuantizer
from supernets.quantization.gradients import GRADIENTS, exponent
from supernets.quantization.gradients.reste import FAR, NEAR

LOW, HIGH = -1.0, 1.0


def _root(u: Tensor) -> Tensor:
    """The power of ReSTE, straight near zero."""
    straight = u * NEAR ** (1 / 3) / NEAR
    end = u.sign() * FAR ** (1 / 3)
    inner = torch.where(u.abs() <= NEAR, straight, u.sign() * u.abs() ** (1 / 3))
    return torch.where(u.abs() > FAR, end, inner)


SURROGATES: dict[str, tuple[float, Callable[[Tensor], Tensor]]] = {
    "biper": (30.0, lambda u: torch.sin(30.0 * u)),
    "clipped": (0.0, lambda u: u.clamp(LOW, HIGH)),
    "polynomial": (0.0, lambda u: (u.sign() * (2 * u.abs() - u * u)).where(u.abs() < 1, u.sign())),
    "reste": (3.0, _root),
    "ste": (0.0, lambda u: u),
}
"""Gradient -> its parameter, and the function whose derivative it is."""
EVERY = pytest.mark.parametrize("name", SURROGATES)


def slope(name: str, u: Tensor, parameter: float | None = None) -> Tensor:
    """The derivative as numbers."""
    gradient = GRADIENTS[name](SURROGATES[name][0] if parameter is None else parameter)
    found = gradient.slope(u, LOW, HIGH)
    assert (found is None) == gradient.flat
    return torch.ones_like(u) if found is None else found.to(u.dtype)


def test_every_gradient_has_a_line_here() -> None:
    assert set(SURROGATES) == set(GRADIENTS) == set(NAMES)


@EVERY
def test_slopes_are_derivatives(name: str) -> None:
    """By central differences, away from kinks."""
    u = torch.linspace(-1.9, 1.9, 1_001, dtype=torch.float64)
    kinks = torch.tensor([0.0, NEAR, 1.0, FAR], dtype=torch.float64)
    u = u[((u.abs()[:, None] - kinks).abs() > 2e-3).all(dim=1)]
    h, function = 1e-6, SURROGATES[name][1]
    assert_close(slope(name, u), (function(u + h) - function(u - h)) / (2 * h), rtol=1e-4, atol=1e-4)


@EVERY
def test_values_do_not_depend_on_the_gradient(name: str) -> None:
    """The forward pass has the same bits, but for BiPer's, whose weights are phases."""
    x = torch.randn(4, 9, generator=torch.Generator().manual_seed(0))
    quantizer = ElasticQuantizer("weight").train()
    y = quantizer(x, spec_of(f"w1-mean-{name}", "weight"))
    sign = torch.sin(30 * x / x.abs().mean(dim=1, keepdim=True)) if name == "biper" else x
    assert torch.equal(y, x.abs().mean(dim=1, keepdim=True) * torch.where(sign >= 0, 1.0, -1.0))


@EVERY
def test_what_goes_back_is_the_slope_times_what_came(name: str) -> None:
    x = torch.randn(3, 8, generator=torch.Generator().manual_seed(0), dtype=torch.float64).requires_grad_()
    up = torch.randn(3, 8, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    ElasticQuantizer("weight").train()(x, spec_of(f"w1-mean-{name}", "weight")).backward(up)
    u = x.detach() / x.detach().abs().mean(dim=1, keepdim=True)
    assert x.grad is not None
    assert_close(x.grad, up * slope(name, u))


@pytest.mark.parametrize("o", [1.0, 2.0, 3.0, 5.0])
def test_reste_has_its_integral_and_with_exponent_one_is_clipped(o: float) -> None:
    """From 0 to t it is t^(1/o): 1.1447 at o = 3, t = 1.5."""
    u = (torch.arange(150_000, dtype=torch.float64) + 0.5) * 1e-5
    assert float(slope("reste", u, o).sum() * 1e-5) == pytest.approx(1.5 ** (1 / o), rel=1e-4)
    if o == 1:
        wide = torch.linspace(-2, 2, 4_001, dtype=torch.float64)
        assert torch.equal(slope("reste", wide, o), (wide.abs() <= FAR).double())


def test_reste_nears_the_sign_and_grows_uneven_with_its_exponent() -> None:
    """The equilibrium of the paper: less error against the sign, more spread of slopes."""
    u = torch.linspace(-1.5, 1.5, 3_001, dtype=torch.float64)
    errors = [float((u.sign() - u.sign() * u.abs() ** (1 / o)).square().sum().sqrt()) for o in (1, 2, 3, 5)]
    spreads = [float(slope("reste", u, o).std()) for o in (1.0, 2.0, 3.0, 5.0)]
    assert errors == sorted(errors, reverse=True)
    assert spreads[0] == pytest.approx(0)
    assert spreads == sorted(spreads)


def test_the_exponent_goes_from_one_to_three_on_a_half_cosine() -> None:
    assert [exponent(0.0), exponent(1.0)] == pytest.approx([1.0, 3.0])
    assert exponent(0.5) == pytest.approx(1 + 2 * (1 - math.cos(math.pi / 4)))


def test_biper_changes_its_sign_as_often_as_the_sine() -> None:
    """2 floor(w / pi) + 1 times on [-1, 1]: 19 at w = 30."""
    u = torch.linspace(-1, 1, 200_001, dtype=torch.float64)
    signs = GRADIENTS["biper"](30.0).before(u) >= 0
    assert int((signs[1:] != signs[:-1]).sum()) == 19 == 2 * math.floor(30 / math.pi) + 1
