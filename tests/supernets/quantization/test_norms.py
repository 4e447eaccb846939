"""Norm, activation function and rounding together: as one after the other, forward and backward."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.nn import functional as F

from spaces import QuantSpec
from spaces.randomness import generator
from supernets import build
from supernets.quantization import ACTIVATION, TOPS, activated, kernels, norms, quantize_activated, quantize_dynamic
from tests.examples import mobile

SPECS = [None, ACTIVATION, QuantSpec(4, signed=False, granularity="tensor")]


def one_after_the_other(x: Tensor, gain: Tensor, shift: Tensor, epsilon: float, after: norms.After) -> Tensor:
    y = F.batch_norm(x, None, None, gain, shift, training=True, eps=epsilon)
    if after.sums8:
        y = quantize_dynamic(y, ACTIVATION)[0]
    if after.activation in TOPS:
        return (
            activated(y, after.activation)
            if after.spec is None
            else quantize_activated(y, after.activation, after.spec)
        )
    return y if after.spec is None else quantize_dynamic(y, after.spec)[0]


def random(shape: tuple[int, ...], seed: int) -> list[Tensor]:
    draws = torch.Generator().manual_seed(seed)
    x, gradient = (torch.randn(shape, generator=draws, dtype=torch.float64) for _ in range(2))
    gain, shift = (torch.randn(shape[1], generator=draws, dtype=torch.float64) for _ in range(2))
    order = torch.channels_last
    return [(3 * x + 5).to(memory_format=order), gain, shift, gradient.to(memory_format=order)]


@settings(deadline=None)
@given(
    st.tuples(*[st.integers(1, 5)] * 4).filter(lambda s: s[0] * s[2] * s[3] > 1),
    st.builds(norms.After, st.sampled_from(["relu", "relu6"]), st.booleans(), st.sampled_from(SPECS))
    | st.builds(norms.After, st.just("none"), st.just(False), st.sampled_from(SPECS))
    | st.builds(norms.After, st.just("hard_swish"), st.just(True), st.none()),
    st.integers(0, 1 << 16),
)
def test_equals_one_after_the_other(shape: tuple[int, ...], after: norms.After, seed: int) -> None:
    *inputs, gradient = random(shape, seed)
    found = []
    for passes in (None, norms.EAGER_PASSES):
        leaves = [value.clone().requires_grad_() for value in inputs]
        asked = (*leaves, 1e-3, after)
        y = one_after_the_other(*asked) if passes is None else norms.normed(*asked, passes)
        y.backward(gradient)  # type: ignore[no-untyped-call]
        found.append([y.detach(), *(leaf.grad for leaf in leaves)])
    (expected, *gradients), (got, *others) = found
    step = (expected.max() - expected.min()) / 15  # values in the middle of two steps, as of 8 bits in 4, go either way
    assert ((got - expected).abs() > 1e-6).sum() <= max(2, 0.1 * got.numel())
    assert (got - expected).abs().max() <= 1.01 * step + 1e-6
    torch.testing.assert_close(others, gradients, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize(
    "precision", ["w8a8", "w8a4", "w4-lsq/a4-lsqplus", "{choice: [float, w8a8, w8a4], per: layer}"]
)
@pytest.mark.parametrize("activation", ["relu", "hard_swish"])
def test_a_network_trains_alike_with_them(precision: str, activation: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same loss and gradients in double precision: the passes stand in uncompiled, and for few values."""
    space = mobile(precision, activation)
    architecture = space.sample_many(1, generator(0, "test.norms"))[0]
    x = torch.randn(4, 3, 32, 32, generator=torch.Generator().manual_seed(0)).double()
    calls = []
    monkeypatch.setattr(norms, "fits", lambda _, known: known != kernels.EAGER)
    monkeypatch.setattr(norms, "compiled", lambda after: calls.append(1) or norms.EAGER_PASSES)
    found = []
    for known in (kernels.EAGER, kernels.Kernels(rounded=lambda *given: kernels.rounded(*given))):
        net = build(space, 0).train().double()
        net.kernels = known
        with net.active(architecture):
            loss = net(x).square().sum()
        loss.backward()  # type: ignore[no-untyped-call]
        gradients = [p.grad.flatten() for p in net.parameters() if p.grad is not None]
        found.append((loss.detach(), torch.cat(gradients)))
    assert calls
    (loss, gradient), (other_loss, other_gradient) = found
    torch.testing.assert_close(
        other_loss, loss, rtol=1e-3, atol=0
    )  # few values in the middle of two steps go elsewhere
    assert (other_gradient - gradient).norm() < 2e-3 * gradient.norm()
