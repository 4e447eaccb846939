"""Norm, activation function and rounding together: as one after the other, forward and backward."""

from __future__ import annotations

from collections import Counter

import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.nn import functional as F

from spaces import QuantSpec
from spaces.randomness import generator
from supernets import build
from supernets.graph import program
from supernets.quantization import (
    ACTIVATION,
    TOPS,
    activated,
    clipped_norms,
    kernels,
    norms,
    quantize_activated,
    quantize_dynamic,
)
from supernets.quantization.straight import Clip, clipped
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


@settings(deadline=None)
@given(
    st.tuples(*[st.integers(1, 5)] * 4).filter(lambda s: s[0] * s[2] * s[3] > 1),
    st.sampled_from(["none", "relu", "relu6"]),
    st.sampled_from([(0.0, 15.0), (-3.0, 12.0), (-128.0, 127.0)]),
    st.floats(0.02, 3.0),
    st.integers(0, 1 << 16),
)
def test_learned_steps_equal_one_after_the_other(
    shape: tuple[int, ...], activation: str, ends: tuple[float, float], scale: float, seed: int
) -> None:
    """Errors are kept in parts of 1/250 of a step, and 1/252: so far apart may the gradients to a scale be."""
    *inputs, gradient = random(shape, seed)
    learned = [torch.tensor(value, dtype=torch.float64) for value in (scale, -ends[0])]
    found = []
    for together in (False, True):
        x, gain, shift, step, zero = leaves = [value.clone().requires_grad_() for value in (*inputs, *learned)]
        clip = Clip(step, zero, *ends, 0.5)
        if together:
            y = clipped_norms.normed(x, gain, shift, 1e-3, activation, clip, clipped_norms.EAGER_PASSES)
        else:
            y = F.batch_norm(x, None, None, gain, shift, training=True, eps=1e-3)
            y = clipped(y if activation == "none" else activated(y, activation), clip, kernels.EAGER)
        y.backward(gradient)  # type: ignore[no-untyped-call]
        found.append([y.detach(), *(leaf.grad for leaf in leaves)])
    (expected, *gradients), (got, *others) = found
    assume(not ((got - expected).abs() > 1e-6).any())  # a value in the middle of two steps, or at an end of the range
    sums = gradients.pop(3), others.pop(3)
    assert abs(sums[0] - sums[1]) <= 0.5 * gradient.abs().sum() / 240
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
    monkeypatch.setattr(clipped_norms, "compiled", lambda after: calls.append(2) or clipped_norms.EAGER_PASSES)
    found = []
    for known in (kernels.EAGER, kernels.Kernels(rounded=lambda *given: kernels.rounded(*given))):
        net = build(space, 0).train().double()
        with net.active(architecture):
            net(x)  # learned steps begin
            net.kernels = known
            loss = net(x).square().sum()
        loss.backward()  # type: ignore[no-untyped-call]
        gradients = [p.grad.flatten() for p in net.parameters() if p.grad is not None]
        found.append((loss.detach(), torch.cat(gradients)))
    assert set(calls) == ({1, 2} if "lsq" in precision and activation != "hard_swish" else {1})
    (loss, gradient), (other_loss, other_gradient) = found
    torch.testing.assert_close(
        other_loss, loss, rtol=1e-3, atol=0
    )  # few values in the middle of two steps go elsewhere
    assert (other_gradient - gradient).norm() < 2e-3 * gradient.norm()


def test_what_is_stored_in_eight_bits_is_not_rounded_together_with_a_norm() -> None:
    """A reader's learned steps come after the storing then, as in evaluation."""
    space = mobile("{choice: [float, w8a8, w4-lsq/a4-lsqplus], per: layer}", "relu")
    alone = 0
    for architecture in space.sample_many(40, generator(0, "test.norms")):
        made = program(build(space, 0).layers(architecture), resized=False)
        stored = {y.path for y in made.layers if y.out8}
        assert stored == made.kept & {y.path for y in made.layers}
        assert not made.alone.keys() & made.kept
        alone += len(made.alone)
        readers = Counter(name for y in made.layers for name in y.inputs)
        assert all(readers[name] == 1 for name in made.alone)
    assert alone
