"""The elastic quantizer: one table per spec, sliced with the weights; gradients of learned steps; codes that decode."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.testing import assert_close

from spaces.precision import QuantSpec, spec_of
from supernets.quantization import (
    TOPS,
    ElasticQuantizer,
    activated,
    decoded,
    quantize_activated,
    quantize_dynamic,
)
from supernets.quantization.granularity import rows, spread

SPECS = (
    "w8", "w4", "w2", "w4-tensor", "w4-group16", "w4-asymmetric", "w2-asymmetric-tensor", "w8-full-percentile",
    "w4-lsq", "w4-lsq-tensor", "w4-lsqplus-asymmetric", "w4-lsqplus-real", "w3-eqnet-real-tensor", "w4-minmax",
    "w2-midrise-statsq", "w2-ternary-median", "w2-ternary-fourthirds", "w1-mean", "w1-mean-biper", "w4-mxfp4",
    "w4-nvfp4", "w6-mxfp6", "w8-e4m3-absmax", "w8-e5m2-absmax", "w6-e2m3-absmax", "w4-pow2-absmax",
    "w4-pow2-absmax-geometric", "w4-stochastic", "w4-noise", "w4-adaround", "w4-codebook-absmax", "w4-routed",
)  # fmt: skip
"""Every method at least once."""
SHAPE = (6, 32, 3, 3)


def weight(seed: int = 0, shape: tuple[int, ...] = SHAPE) -> Tensor:
    """Weights in single precision."""
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed)) * 0.1


def first(channels: int, inputs: int = 32) -> object:
    """How a table is sliced for the first channels."""
    return lambda table: table[:channels] if table.dim() == 1 else table[:channels, :inputs]


def begun(name: str, x: Tensor) -> tuple[ElasticQuantizer, QuantSpec]:
    """A quantizer that has seen ``x`` once in training."""
    spec = spec_of(name, "weight")
    quantizer = ElasticQuantizer("weight", [spec], tuple(x.shape)).train()
    quantizer(x, spec, draws=torch.Generator().manual_seed(0))
    return quantizer, spec


@pytest.mark.parametrize("name", SPECS)
@settings(deadline=None, max_examples=3)
@given(seed=st.integers(0, 2**32 - 1))
def test_codes_decode_to_what_evaluation_computes_with(name: str, seed: int) -> None:
    """Bit for bit; codes are in range, few enough for their bits, and values on the grid stay where they are."""
    x = weight(seed)
    quantizer, spec = begun(name, x)
    quantizer.eval()
    y, stored = quantizer(x, spec), quantizer.codes(x, spec)
    assert torch.equal(decoded(stored, spec, "weight"), y)
    assert torch.equal(stored.codes, stored.codes.round())
    assert int(stored.codes.min()) >= spec.lowest
    assert int(stored.codes.max()) <= spec.highest
    assert len(stored.codes.unique()) <= 2**spec.bits
    if spec.format.has_zero and spec.estimator[0] != "biper":
        assert stored.zero is None or torch.equal(stored.zero, stored.zero.round())
        if spec.rounding != "adaround":
            grid = quantizer.grid(x, spec)
            assert not quantizer.on(torch.zeros_like(x), grid, spec).any()
            again = quantizer.on(y, grid, spec)
            assert_close(again, y, rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize("name", SPECS)
def test_training_and_evaluation_agree_but_for_what_is_random_or_real(name: str) -> None:
    x = weight()
    quantizer, spec = begun(name, x)
    y = quantizer(x, spec)
    quantizer.eval()
    if spec.rounding not in ("stochastic", "noise", "adaround") and spec.offset != "real":
        assert_close(quantizer(x, spec), y, rtol=1e-6, atol=1e-7)
    assert torch.isfinite(y).all()


@pytest.mark.parametrize("name", SPECS)
def test_a_slice_is_rounded_as_if_it_were_alone(name: str) -> None:
    """Statistics are those of the active slice; learned tables are cut with it."""
    x = weight()
    quantizer, spec = begun(name, x)
    quantizer.eval()
    part, cut = x[:4], first(4)
    y = quantizer(part, spec, cut)
    if quantizer.tables and spec.rounding != "adaround":
        own = ElasticQuantizer("weight", [spec], (4, 32, 3, 3)).eval()
        for mine, table in zip(own.tables.values(), quantizer.tables.values(), strict=True):
            mine.data.copy_(table[: len(mine)])
        assert torch.equal(own(part, spec), y)
    elif not quantizer.tables:
        assert torch.equal(ElasticQuantizer("weight").eval()(part.clone(), spec), y)
    assert torch.equal(decoded(quantizer.codes(part, spec, cut), spec, "weight"), y)


# --- gradients --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("granularity", ["tensor", "channel"])
@pytest.mark.parametrize("signed", ["signed", "unsigned"])
def test_gradients_of_learned_steps_are_the_three_cases(granularity: str, signed: str) -> None:
    """Inside the range: 1 and the rounding error; beyond it: 0 and its end; times 1 / sqrt(values x highest level)."""
    spec = spec_of(f"w4-lsq-{granularity}-{signed}", "weight")
    x = (weight(1, (3, 40)).double() * 10).requires_grad_()
    quantizer = ElasticQuantizer("weight", [spec], (3, 40)).double().train()
    up = weight(2, (3, 40)).double()
    quantizer(x.detach(), spec)
    (table,) = quantizer.tables.values()
    table.data.mul_(0.3)  # so that something is clipped
    quantizer(x, spec).backward(up)
    step = table.detach().reshape(-1, 1)
    v = x.detach() / step
    inside = (v >= spec.lowest) & (v <= spec.highest)
    error = torch.where(inside, v.round() - v, v.clamp(spec.lowest, spec.highest))
    factor = (spec.highest * x.numel() / len(table)) ** -0.5
    assert 0 < int(inside.sum()) < x.numel()
    assert x.grad is not None
    assert table.grad is not None
    assert_close(x.grad, up * inside, rtol=1e-12, atol=1e-12)
    expected = (up * error).sum_to_size(len(table), 1).reshape(-1) * factor
    assert_close(table.grad, expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("offset", ["real", "asymmetric"])
def test_gradients_of_learned_offsets(offset: str) -> None:
    """Of ``s k + beta`` with ``v = (x - beta) / s``: to s k - v inside and k beyond, to beta 0 inside and 1 beyond. A
    whole zero-point moves v by less than half a step."""
    spec = spec_of(f"w3-lsqplus-{offset}-tensor", "weight")
    x = (weight(1, (3, 40)).double() * 10 + 0.3).requires_grad_()
    quantizer = ElasticQuantizer("weight", [spec], (3, 40)).double().train()
    up = weight(2, (3, 40)).double()
    with torch.no_grad():
        quantizer(x, spec)
    quantizer.train()(x.detach(), spec)
    scale, beta = quantizer.tables.values()
    scale.data.mul_(0.5)  # so that something is clipped
    quantizer(x, spec).backward(up)
    s, b = scale.detach(), beta.detach()
    zero = -b / s if offset == "real" else (-b / s).round().clamp(spec.lowest, spec.highest)
    v = x.detach() / s + zero
    k = v.round().clamp(spec.lowest, spec.highest)
    inside = (v >= spec.lowest) & (v <= spec.highest)
    factor = (spec.format.high * x.numel()) ** -0.5
    assert 0 < int(inside.sum()) < x.numel()
    assert x.grad is not None
    assert scale.grad is not None
    assert beta.grad is not None
    assert_close(x.grad, up * inside, rtol=1e-12, atol=1e-12)
    assert_close(beta.grad, (up * ~inside).sum().reshape(1) * factor, rtol=1e-12, atol=1e-12)
    error = (k - zero) - torch.where(inside, v - zero, 0.0) + torch.where(inside, 0.0, -b / s)
    assert_close(scale.grad, (up * error).sum().reshape(1) * factor, rtol=1e-12, atol=1e-12)


def test_a_value_on_a_level_teaches_its_step_nothing() -> None:
    spec = spec_of("w4-lsq-tensor", "weight")
    quantizer = ElasticQuantizer("weight", [spec], (1, 3)).double().train()
    quantizer.tables["w4-tensor-lsq/scale"].data.fill_(0.5)
    quantizer(torch.tensor([[0.5, -1.5, 3.0]], dtype=torch.float64, requires_grad=True), spec).sum().backward()
    gradient = quantizer.tables["w4-tensor-lsq/scale"].grad
    assert gradient is not None
    assert float(gradient) == 0.0


@pytest.mark.parametrize("name", ["a4-lsqplus", "a8-lsqplus", "a4-lsq-unsigned", "a4-lsq", "a4-eqnet"])
def test_inputs_learn_by_errors_kept_in_a_byte(name: str) -> None:
    """The one pass for activations: values bit for bit as the exact way, gradients to 1 %."""
    spec, x = spec_of(name, "input"), weight(3, (4, 8, 5, 5)) + 0.05
    up = weight(4, tuple(x.shape))
    found = []
    for role in ("input", "weight"):  # as a weight, on one grid too, it goes the exact way
        quantizer = ElasticQuantizer(role, [spec]).train()
        for key, table in quantizer.tables.items():
            table.data.fill_(0.02 if key.endswith("scale") else -0.08)
        given = x.clone().requires_grad_()
        y = quantizer(given, spec)
        y.backward(up)
        assert given.grad is not None
        found.append((y.detach(), given.grad, *[t.grad for t in quantizer.tables.values()]))
    assert torch.equal(found[0][0], found[1][0])
    assert torch.equal(found[0][1], found[1][1])
    for ours, exact in zip(found[0][2:], found[1][2:], strict=True):
        assert ours is not None
        assert exact is not None
        assert_close(ours, exact, rtol=0.01, atol=1e-4)


def test_a_codebook_learns_its_levels() -> None:
    x = weight(0, (2, 40)).requires_grad_()
    quantizer, spec = begun("w2-codebook-tensor-absmax", x.detach())
    y = quantizer(x, spec)
    up = weight(5, (2, 40))
    y.backward(up)
    (table,) = quantizer.tables.values()
    assert table.grad is not None
    scale = x.detach().abs().max()
    expected = [(up * (y.detach() / scale - level).abs().lt(1e-6)).sum() * scale for level in table.detach()]
    assert_close(table.grad, torch.stack(expected), rtol=1e-4, atol=1e-5)
    assert_close(x.grad, up)


def test_learned_rounding_teaches_its_shares_alone() -> None:
    x = weight(0, (2, 40)).requires_grad_()
    quantizer, spec = begun("w4-adaround", x.detach())
    y = quantizer(x, spec)
    assert_close(y, x, rtol=0, atol=0.02)
    y.sum().backward()
    (table,) = quantizer.tables.values()
    assert table.grad is not None
    assert table.shape == x.shape
    assert (table.grad > 0).any()
    assert x.grad is None


# --- tables -----------------------------------------------------------------------------------------------------------


def test_a_spec_does_not_touch_the_table_of_another() -> None:
    """What 8 bits give is bit-identical after 4 bits have learned."""
    specs = [spec_of(name, "weight") for name in ("w4-eqnet-real", "w8-eqnet-real")]
    quantizer, x = ElasticQuantizer("weight", specs, SHAPE).train(), weight()
    before = quantizer(x, specs[1])
    optimiser = torch.optim.SGD(quantizer.parameters(), lr=0.1)
    quantizer(x.requires_grad_(), specs[0]).square().sum().backward()
    optimiser.step()
    assert torch.equal(quantizer(x, specs[1]), before)
    assert set(quantizer.tables) == {
        f"w{bits}-real-eqnet/{part}" for bits in (4, 8) for part in ("scale", "offset")
    }  # fmt: skip


def test_only_what_learns_has_a_table() -> None:
    specs = [spec_of(name, "weight") for name in SPECS]
    quantizer = ElasticQuantizer("weight", specs, SHAPE)
    assert sorted(key.split("/")[0] for key in quantizer.tables if key.endswith("scale")) == [
        "w3-real-tensor-eqnet", "w4-asymmetric-lsqplus", "w4-lsq", "w4-real-lsqplus", "w4-tensor-lsq",
    ]  # fmt: skip
    assert not ElasticQuantizer("weight", [spec_of("w8", "weight"), spec_of("w4", "weight")], SHAPE).tables


def test_channels_start_when_they_are_first_trained() -> None:
    """Those of a narrow slice from it; those beyond, later, and the first ones stay."""
    spec, x = spec_of("w4-lsq", "weight"), weight()
    quantizer = ElasticQuantizer("weight", [spec], SHAPE).train()
    quantizer(x[:2, :16], spec, first(2, 16))
    (table,) = quantizer.tables.values()
    begun_first = table.detach().clone()
    assert (begun_first[:2] > 0).all()
    assert (begun_first[2:] == 0).all()
    assert_close(begun_first[:2], 2 * x[:2, :16].abs().flatten(1).mean(dim=1) / 7**0.5)
    quantizer(x, spec)
    assert torch.equal(table[:2], begun_first[:2])
    assert (table > 0).all()


def test_evaluation_before_training_starts_nothing() -> None:
    spec, x = spec_of("w4-lsq", "weight"), weight()
    quantizer = ElasticQuantizer("weight", [spec], SHAPE).eval()
    y = quantizer(x, spec)
    (table,) = quantizer.tables.values()
    assert not table.any()
    quantizer.train()(x, spec)
    assert torch.equal(quantizer.eval()(x, spec), y)


def test_tables_that_are_loaded_count_as_they_are() -> None:
    spec, x = spec_of("w4-lsq", "weight"), weight()
    quantizer, _ = begun("w4-lsq", x)
    fresh = ElasticQuantizer("weight", [spec], SHAPE).train()
    quantizer.load_state_dict(fresh.state_dict())
    quantizer(10 * x, spec)
    assert_close(quantizer.tables["w4-lsq/scale"].detach(), 20 * x.abs().flatten(1).mean(dim=1) / 7**0.5)


# --- who shares a scale -----------------------------------------------------------------------------------------------

PLACES = {
    ("weight", "tensor"): ((6, 8, 3, 3), 1), ("weight", "channel"): ((6, 8, 3, 3), 6),
    ("weight", "group4"): ((6, 8, 3, 3), 108), ("input", "tensor"): ((2, 8, 5, 4), 1),
    ("input", "token"): ((2, 8, 5, 4), 40), ("input", "group4"): ((2, 8, 5, 4), 80),
    ("kv", "channel"): ((2, 3, 7, 4), 12), ("kv", "head"): ((2, 3, 7, 4), 3), ("kv", "token"): ((2, 3, 7, 4), 42),
    ("attention", "head"): ((2, 3, 7, 7), 3), ("attention", "token"): ((2, 3, 7, 7), 42),
}  # fmt: skip
"""Role and granularity -> a shape, and how many scales it has."""


@pytest.mark.parametrize(("role", "granularity"), PLACES)
def test_scales_reach_the_values_that_share_them(role: str, granularity: str) -> None:
    shape, count = PLACES[role, granularity]
    letter = {"weight": "w", "input": "a", "kv": "k", "attention": "p"}[role]
    spec = spec_of(f"{letter}8-{granularity}", role)
    x = torch.arange(float(torch.Size(shape).numel())).reshape(shape)
    matrix = rows(x, spec, role)
    assert matrix.shape == (count, x.numel() // count)
    numbers = spread(torch.arange(float(count)), x, spec, role).expand(shape)
    for row in range(count):
        assert sorted(x[numbers == row].tolist()) == sorted(matrix[row].tolist())


def test_tokens_and_vectors_have_a_scale_per_token() -> None:
    spec = spec_of("a8-token", "input")
    for shape, count in (((2, 7, 8), 14), ((5, 8), 5)):
        assert rows(torch.zeros(shape), spec, "input").shape == (count, 8)
        assert spread(torch.zeros(count), torch.zeros(shape), spec, "input").shape == (*shape[:-1], 1)


def test_groups_that_do_not_fit_are_refused() -> None:
    with pytest.raises(ValueError, match=r"^group size 16 does not divide 24 features$"):
        rows(torch.zeros(2, 24), spec_of("w4-group16", "weight"), "weight")


# --- activation functions with their grid -----------------------------------------------------------------------------


@pytest.mark.parametrize("activation", TOPS)
def test_an_activation_function_and_its_grid_in_one_are_the_two_in_turn(activation: str) -> None:
    """Values and gradients, bit for bit; also where nothing is positive."""
    function = {"relu": torch.relu, "relu6": torch.nn.functional.relu6}[activation]
    for x in (weight(0, (4, 50)) * 40, -weight(0, (4, 50)).abs(), weight(1, (4, 50))):
        up = weight(2, (4, 50))
        a, b, c = (x.clone().requires_grad_() for _ in range(3))
        apart, together, kept = (
            quantize_dynamic(function(a))[0],
            quantize_activated(b, activation),
            activated(c, activation),
        )
        for y in (apart, together, kept):
            y.backward(up)
        assert torch.equal(apart, together)
        assert torch.equal(kept, function(x))
        assert a.grad is not None
        for other in (b.grad, c.grad):
            assert other is not None
            assert torch.equal(a.grad, other)
