"""Integer codes: in range, exactly decoded, zero kept, scales by their formula, gradients straight through."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.testing import assert_close

from spaces import QuantSpec
from supernets.quantization import (
    ACTIVATION,
    activation_grid,
    bias_steps,
    quantize_activation,
    quantize_dynamic,
    quantize_weight,
    straight_through,
    weight_codes,
    weight_scale,
)

W8, W4 = QuantSpec(8, signed=True, granularity="channel"), QuantSpec(4, signed=True, granularity="channel")
FLOATS = st.floats(-1e4, 1e4, width=32, allow_subnormal=False)


@st.composite
def weights(draw: st.DrawFn) -> Tensor:
    """Weights (c_out, c_in, k, k) or (d_out, d_in) with rows of very different size, among them rows of zeros."""
    shape = draw(st.sampled_from([(1, 1), (3, 5), (2, 3, 1, 1), (4, 2, 3, 3)]))
    seed = draw(st.integers(0, 2**32 - 1))
    values = torch.randn(shape, generator=torch.Generator().manual_seed(seed))
    sizes = torch.tensor(draw(st.lists(st.sampled_from([0.0, 1e-8, 1e-3, 1.0, 1e3]), min_size=4, max_size=4)))
    return values * sizes[: shape[0]].reshape(-1, *[1] * (len(shape) - 1))


def column(scale: Tensor, like: Tensor) -> Tensor:
    """A scale (c_out,) in the shape to multiply with."""
    return scale.reshape(-1, *[1] * (like.dim() - 1))


def test_ranges_of_codes() -> None:
    """Signed ones are symmetric: the lowest code of two's complement is left out."""
    assert [(QuantSpec(b, True, "channel").lowest, QuantSpec(b, True, "channel").highest) for b in (2, 4, 8)] == [
        (-1, 1), (-7, 7), (-127, 127),
    ]  # fmt: skip
    assert (ACTIVATION.lowest, ACTIVATION.highest) == (0, 255)


def test_scales_by_their_formula() -> None:
    """8 bits: largest magnitude / 127. 4 bits: 2 mean|w| / sqrt(7)."""
    weight = torch.tensor([[0.5, -2.54, 0.0, 1.0], [7.0, 7.0, -7.0, -7.0]])
    assert_close(weight_scale(weight, W8), torch.tensor([2.54 / 127, 7 / 127]))
    assert_close(weight_scale(weight, W4), torch.tensor([2 * 4.04 / 4 / 7**0.5, 2 * 7 / 7**0.5]))
    assert_close(weight_scale(weight.reshape(2, 1, 2, 2), W4), weight_scale(weight, W4))
    assert_close(weight_scale(torch.zeros(1, 3), W8), torch.tensor([1e-6]))
    assert not weight_scale(weight.requires_grad_(), W8).requires_grad


@settings(deadline=None)
@given(weights(), st.sampled_from([W4, W8]))
def test_weight_codes_are_whole_in_range_and_nearest(weight: Tensor, spec: QuantSpec) -> None:
    codes, scale = weight_codes(weight, spec)
    assert codes.shape == weight.shape
    assert scale.shape == (len(weight),)
    assert (scale > 0).all()
    assert torch.equal(codes, codes.round())
    assert codes.min() >= spec.lowest
    assert codes.max() <= spec.highest
    assert (codes[weight == 0] == 0).all()
    distance = (codes * column(scale, weight) - weight).abs()
    inside = weight.abs() <= spec.highest * column(scale, weight) * (1 + 1e-6)  # 127 x (w / 127) may round below w
    assert (distance <= 0.5001 * column(scale, weight))[inside].all()
    assert inside.all() or spec is W4  # 8 bits clip nothing


@settings(deadline=None)
@given(weights(), st.sampled_from([W4, W8]))
def test_the_values_used_are_exactly_the_decoded_codes(weight: Tensor, spec: QuantSpec) -> None:
    """And the decoded values have the same codes again."""
    codes, scale = weight_codes(weight, spec)
    decoded = codes * column(scale, weight)
    assert torch.equal(quantize_weight(weight, spec), decoded)
    again = torch.round(decoded / column(scale, weight)).clamp(spec.lowest, spec.highest)
    assert torch.equal(again, codes)


@pytest.mark.parametrize("spec", [W4, W8], ids=["w4", "w8"])
def test_gradients_of_weights_pass_straight_through(spec: QuantSpec) -> None:
    """Unchanged, also for values that are clipped."""
    weight = torch.randn(3, 2, 3, 3, generator=torch.Generator().manual_seed(0))
    weight[0, 0, 0, 0] = 50.0
    weight.requires_grad_()
    gradient = torch.randn(weight.shape, generator=torch.Generator().manual_seed(1))
    quantize_weight(weight, spec).backward(gradient)
    assert weight.grad is not None
    assert torch.equal(weight.grad, gradient)


def test_gradients_of_activations_pass_straight_through() -> None:
    x = torch.randn(4, 5, generator=torch.Generator().manual_seed(0), requires_grad=True)
    y, limits = quantize_dynamic(x)
    y.backward(torch.full_like(x, 3.0))
    assert x.grad is not None
    assert torch.equal(x.grad, torch.full_like(x, 3.0))
    assert not limits.requires_grad
    assert torch.equal(limits, torch.stack([x.detach().min(), x.detach().max()]))


def test_straight_through_gives_the_second_and_teaches_the_first() -> None:
    x, y = torch.tensor([1.5], requires_grad=True), torch.tensor([2.0])
    out = straight_through(x, y)
    out.backward(torch.tensor([5.0]))
    assert x.grad is not None
    assert (out.tolist(), x.grad.tolist()) == ([2.0], [5.0])


# --- activations ------------------------------------------------------------------------------------------------------


@settings(deadline=None, max_examples=300)
@given(st.tuples(FLOATS, FLOATS).map(sorted))
def test_grids_hold_zero_and_the_range(limits: list[float]) -> None:
    """The zero-point is a whole number in 0..255, zero is a point of the grid, the ends are within half a step."""
    low, high = (torch.tensor(v) for v in limits)
    scale, zero_point = activation_grid(low, high, ACTIVATION)
    assert zero_point.dtype == torch.int32
    assert 0 <= int(zero_point) <= 255
    assert float(scale) >= np.float32(1e-6)
    assert float(quantize_activation(torch.zeros(1), scale, zero_point)) == 0.0
    for end in (min(limits[0], 0.0), max(limits[1], 0.0)):
        assert abs(float(quantize_activation(torch.tensor([end]), scale, zero_point)) - end) <= 0.501 * float(scale)
    if limits[0] >= 0:
        assert int(zero_point) == 0  # the clip of the integer kernel is then the ReLU
    if limits[1] <= 0 and limits[0] < -1e-3:
        assert int(zero_point) == 255


@settings(deadline=None)
@given(st.lists(FLOATS, min_size=1, max_size=20), st.floats(2**-13, 10, width=32), st.integers(0, 255))
def test_activations_are_quantized_as_onnx_does(values: list[float], scale: float, zero: int) -> None:
    """QuantizeLinear: saturate(round to even(x / scale) + zero-point); then DequantizeLinear."""
    x = torch.tensor(values)
    codes = np.clip(np.rint(x.numpy() / np.float32(scale)) + zero, 0, 255)
    got = quantize_activation(x, torch.tensor(scale), torch.tensor(zero, dtype=torch.int32))
    assert np.array_equal(got.numpy(), ((codes - zero) * np.float32(scale)).astype(np.float32))
    again = quantize_activation(got, torch.tensor(scale), torch.tensor(zero, dtype=torch.int32))
    assert torch.equal(again, got)
    assert torch.equal(x, torch.tensor(values))  # the input is left alone


@settings(deadline=None)
@given(st.lists(FLOATS, min_size=1, max_size=20))
def test_the_grid_of_a_tensors_own_range_is_close_everywhere(values: list[float]) -> None:
    x = torch.tensor(values)
    y, _ = quantize_dynamic(x)
    step = (max(float(x.max()), 0.0) - min(float(x.min()), 0.0)) / 255
    assert float((y - x).abs().max()) <= 0.51 * max(step, 1e-6)
    assert len(y.unique()) <= 256


def test_biases_are_rounded_to_whole_steps_in_double_precision() -> None:
    """Float32 would lose steps above 2 ** 24."""
    steps = bias_steps(torch.tensor([1.0, -0.26, 0.0]), torch.tensor([2.0**-28, 0.1, 1.0]))
    assert steps.dtype == torch.float64
    assert steps.tolist() == [2.0**28, -3.0, 0.0]
