"""Rounded tensors that the backward pass keeps as bytes: the same gradients, bit for bit, from less memory."""

from __future__ import annotations

from contextlib import nullcontext

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor
from torch.nn import functional as F
from torch.profiler import ProfilerActivity, profile

from spaces.precision import spec_of
from supernets.quantization import ElasticQuantizer
from supernets.quantization.compact import compact
from supernets.quantization.kernels import coded, decoded


@given(st.floats(2**-20, 2**10, width=32), st.integers(-255, 0), st.integers(0, 255))
def test_every_level_comes_back_bit_for_bit(scale: float, low: int, width: int) -> None:
    step = torch.tensor(scale)
    y = torch.arange(low, low + width + 1, dtype=torch.float32) * step
    codes = coded(y, step, float(low))
    assert codes.dtype == torch.int8
    assert torch.equal(decoded(codes, step, float(low)), y)


@pytest.fixture
def _small_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("supernets.quantization.compact.FEW", 0)


def leaves() -> tuple[Tensor, Tensor]:
    """Pictures and a weight."""
    draws = torch.Generator().manual_seed(0)
    x, w = torch.randn(4, 8, 6, 6, generator=draws), torch.randn(16, 8, 3, 3, generator=draws)
    return x.requires_grad_(), w.requires_grad_()


def convolved(x: Tensor, w: Tensor) -> Tensor:
    """A convolution."""
    return F.conv2d(x, w, padding=1)


def multiplied(x: Tensor, w: Tensor) -> Tensor:
    """A linear layer over the same numbers, whose weight autograd keeps transposed."""
    return F.linear(x.flatten(1)[:, :72], w.flatten(1))


@pytest.mark.parametrize("weight", ["w8", "w4-lsq", "w2-asymmetric", "w3-tensor-lp", "w4-real-lsqplus", "w8-noise"])
@pytest.mark.parametrize("given_", ["a8-lsqplus", "a4-lsqplus", "a4-symmetric-lsq", "a4"])
@pytest.mark.parametrize("compute", [convolved, multiplied])
@pytest.mark.usefixtures("_small_too")
def test_gradients_are_the_same_bits(weight: str, given_: str, compute: object) -> None:
    def gradients(packed: bool) -> list[Tensor]:
        x, w = leaves()
        quantizers = [
            ElasticQuantizer(role, [spec_of(name, role)], shape).train()
            for role, name, shape in (("input", given_, ()), ("weight", weight, (16, 8, 3, 3)))
        ]
        rounded = [
            quantizer(t, spec_of(name, quantizer.role), draws=torch.Generator().manual_seed(1))
            for quantizer, t, name in zip(quantizers, (x, w), (given_, weight), strict=True)
        ]
        with compact(*rounded) if packed else nullcontext():
            y = compute(*rounded)  # type: ignore[operator]
        y.square().sum().backward()
        tables = [table for quantizer in quantizers for table in quantizer.parameters()]
        return [t.grad for t in (x, w, *tables) if t.grad is not None]

    plain, packed = gradients(False), gradients(True)
    assert len(plain) >= 2
    assert all(torch.equal(a, b) for a, b in zip(plain, packed, strict=True))


def test_a_byte_per_value_is_kept() -> None:
    """Of many pictures the convolution keeps a byte each, beside the byte of the rounding; of few, all."""

    def kept(count: int, packed: bool) -> int:
        draws = torch.Generator().manual_seed(0)
        x, w = torch.randn(count, 8, 24, 24, generator=draws).requires_grad_(), leaves()[1]
        spec = spec_of("a4-lsqplus", "input")
        quantizer = ElasticQuantizer("input", [spec]).train()
        quantizer(x, spec)
        with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as seen:
            rounded = quantizer(x, spec)
            with compact(rounded) if packed else nullcontext():
                loss = convolved(rounded, w).sum()
            del rounded
        assert loss.requires_grad
        return sum(event.self_cpu_memory_usage for event in seen.key_averages())

    values = 64 * 8 * 24 * 24
    assert values * 5 <= kept(64, False) < values * 5 + 4096
    assert values * 2 <= kept(64, True) < values * 2 + 4096
    assert kept(32, True) == kept(32, False)
