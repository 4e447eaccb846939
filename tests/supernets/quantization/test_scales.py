"""What every scale rule keeps to, and the published constants of single ones."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.testing import assert_close

from spaces import QuantSpec
from spaces.precision import SCALES, spec_of
from supernets.quantization import ElasticQuantizer
from supernets.quantization.methods import methods
from supernets.quantization.scales import RULES, SMALLEST
from supernets.quantization.scales.lp import rounded

NAMES = {
    "absmax": "w4-absmax",
    "adaptive": "w4",
    "eqnet": "w4-eqnet-asymmetric",
    "fourthirds": "w2-ternary-fourthirds",
    "lp": "w4-lp-asymmetric",
    "lsq": "w4-lsq",
    "lsqplus": "w4-lsqplus-asymmetric",
    "mean": "w1-mean",
    "median": "w2-ternary-median",
    "minmax": "w4-minmax",
    "mx": "w4-mxfp4",
    "mxceil": "w4-e2m1-group32-mxceil",
    "nv": "w4-nvfp4",
    "percentile": "w4-percentile",
    "routed": "w4-e2m1-routed",
    "statsq": "w2-midrise-statsq",
}
"""Rule -> a spec that has it."""
EVERY = pytest.mark.parametrize("rule", NAMES)


def normal(*shape: int, seed: int = 0) -> Tensor:
    """Numbers in double precision."""
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def grid(spec: QuantSpec, rows: Tensor) -> tuple[Tensor, Tensor | None]:
    """What the rule of a spec finds for rows."""
    found = methods(spec, "weight")
    return found.rule(rows, spec, "weight", found.parameter)


def test_every_rule_has_a_line_here() -> None:
    assert set(NAMES) == set(RULES) == set(SCALES)
    assert all(spec_of(name, "weight").method[0] == rule for rule, name in NAMES.items())


@EVERY
@settings(deadline=None, max_examples=4)
@given(seed=st.integers(0, 2**32 - 1), power=st.integers(-6, 6))
def test_steps_grow_with_the_values(rule: str, seed: int, power: int) -> None:
    """Twice the values, twice the step and the same zero-point; the values' sign is nothing to symmetric steps."""
    spec, rows = spec_of(NAMES[rule], "weight"), normal(3, 64, seed=seed)
    (step, zero), (larger, same) = grid(spec, rows), grid(spec, rows * 2.0**power)
    assert step.shape == (3,)
    assert (step > 0).all()
    assert_close(larger, step * 2.0**power)
    assert (zero is None) == (spec.offset == "none")
    if zero is not None and same is not None:
        assert_close(zero, same)
        return
    assert_close(grid(spec, -rows)[0], step)


@EVERY
def test_rows_are_alone_with_their_scale(rule: str) -> None:
    """But for rules with a scale of the whole tensor too."""
    spec, rows = spec_of(NAMES[rule], "weight"), normal(3, 64)
    if not SCALES[rule].tensor_bits:
        assert_close(grid(spec, rows)[0][1:2], grid(spec, rows[1:2])[0])


@EVERY
def test_values_that_are_all_zero_have_a_step(rule: str) -> None:
    spec = spec_of(NAMES[rule], "weight")
    step, zero = grid(spec, torch.zeros(2, 64))
    assert torch.isfinite(step).all()
    assert (step > 0).all()
    assert (step <= SMALLEST).all()
    assert zero is None or torch.isfinite(zero).all()
    quantizer = ElasticQuantizer("weight", [spec], (2, 64)).eval()
    y = quantizer(torch.zeros(2, 64), spec)
    assert float(y.abs().max()) <= SMALLEST


@EVERY
def test_no_gradient_passes_through_a_rule_that_does_not_say_so(rule: str) -> None:
    rows = normal(2, 64).requires_grad_()
    assert grid(spec_of(NAMES[rule], "weight"), rows)[0].requires_grad == (rule == "routed")


# --- constants of the papers ------------------------------------------------------------------------------------------


def mse(name: str, x: Tensor) -> float:
    """Mean squared error of a weight of one row."""
    spec = spec_of(name, "weight")
    return float((ElasticQuantizer("weight").eval()(x[None], spec) - x).square().mean())


NORMAL = torch.special.ndtri((torch.arange(200_000, dtype=torch.float64) + 0.5) / 200_000)
"""Normal values without chance: quantiles."""


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("w1-midrise-statsq", 0.364), ("w2-midrise-statsq", 0.138), ("w3-midrise-statsq", 0.071),
        ("w4-midrise-statsq", 0.049), ("w2-ternary-median", 0.319), ("w2-ternary-mean", 0.264),
        ("w2-ternary-fourthirds", 0.200), ("w1-mean", 0.364),
    ],
)  # fmt: skip
def test_squared_errors_of_normal_values(name: str, expected: float) -> None:
    assert mse(name, NORMAL) == pytest.approx(expected, abs=0.0015)


@pytest.mark.parametrize(
    ("name", "expected"),
    [("w2-ternary-absmax", 0.191), ("w3-absmax", 0.0469), ("w4-absmax", 0.0129), ("w4-e2m1-absmax", 0.01278),
     ("w4-pow2-absmax", 0.0380)],
)  # fmt: skip
def test_least_squared_errors_of_normal_values(name: str, expected: float) -> None:
    """Over all scales: the best step of a format is found among many. (Those of 7 and 15 levels are Max's of 1960.)"""
    spec, x = spec_of(name, "weight"), NORMAL[::4][None]
    ends = torch.linspace(1.0, 5.0, 161, dtype=torch.float64) / spec.format.high
    steps = torch.cat([ends, ends * 1.3, torch.linspace(0.8, 1.6, 41, dtype=torch.float64)])
    least = min(float((rounded(x, step[None], None, spec) - x).square().mean()) for step in steps)
    assert least == pytest.approx(expected, rel=0.02)


def test_statsq_of_one_bit_is_the_mean_magnitude_with_a_sign() -> None:
    x, spec = normal(4, 50), spec_of("w1-midrise-statsq", "weight")
    expected = x.abs().mean(dim=1, keepdim=True) * torch.where(x >= 0, 1.0, -1.0)
    assert_close(ElasticQuantizer("weight").eval()(x, spec), expected)


@pytest.mark.parametrize("bits", range(1, 9))
def test_statsq_has_all_levels_of_its_bits(bits: int) -> None:
    spec = spec_of(f"w{bits}-midrise-statsq", "weight")
    assert len(ElasticQuantizer("weight").eval()(NORMAL[None], spec).unique()) == 2**bits


def test_shares_of_ternary_levels() -> None:
    """Four thirds of the mean part uniform values evenly, and normal ones 0.297 to 0.406; the median sends 26.5 % to
    zero, the mean 31.1 %."""

    def zeros(name: str, x: Tensor) -> float:
        codes = ElasticQuantizer("weight").codes(x[None], spec_of(name, "weight")).codes
        return float((codes == 0).double().mean())

    even = torch.rand(400_000, generator=torch.Generator().manual_seed(0), dtype=torch.float64) * 2 - 1
    assert zeros("w2-ternary-fourthirds", even) == pytest.approx(0.334, abs=0.002)
    assert zeros("w2-ternary-fourthirds", NORMAL) == pytest.approx(0.406, abs=0.002)
    assert zeros("w2-ternary-median", NORMAL) == pytest.approx(0.265, abs=0.002)
    assert zeros("w2-ternary-mean", NORMAL) == pytest.approx(0.311, abs=0.002)


def test_an_outlier_moves_the_median_by_at_most_one_order_statistic() -> None:
    x = normal(1, 101)
    near = x.abs().sort().values[0, 48:53]
    outlier = x.clone()
    outlier[0, 0] = 1e6
    for moved in (grid(spec_of("w2-ternary-median", "weight"), y)[0] for y in (x, outlier)):
        assert near[0] <= float(moved) <= near[-1]
    assert float(grid(spec_of("w2-ternary-mean", "weight"), outlier)[0]) > 1e3


@pytest.mark.parametrize("bits", [2, 3, 4, 8])
@pytest.mark.parametrize("symmetry", ["symmetric", "asymmetric"])
def test_a_searched_range_is_never_worse_than_the_whole_one(bits: int, symmetry: str) -> None:
    """In the power that was searched."""
    x = normal(8, 200) + (0.5 if symmetry == "asymmetric" else 0)
    names = [f"w{bits}-{symmetry}-{rule}" for rule in ("eqnet", "minmax" if symmetry == "asymmetric" else "absmax")]
    specs = [spec_of(name, "weight") for name in names]
    errors = [(rounded(x, *grid(spec, x), spec) - x).abs().pow(2.4).mean(dim=1) for spec in specs]
    assert (errors[0] <= errors[1]).all()


def test_block_scales_of_microscaling_are_powers_of_two_and_clip_or_do_not() -> None:
    """The floor rule leaves maxima up to 8 where E2M1 ends at 6, the other none beyond."""
    x = normal(2_000, 32)
    for rule, most in (("mxfp4", 8.0), ("e2m1-group32-mxceil", 6.0)):
        step, _ = grid(spec_of(f"w4-{rule}", "weight"), x)
        assert torch.equal(torch.log2(step), torch.log2(step).round())
        scaled = float((x.abs().amax(dim=1) / step).max())
        assert scaled <= most
    assert float((x.abs().amax(dim=1) / grid(spec_of("w4-mxfp4", "weight"), x)[0]).max()) > 6


def test_a_start_of_learned_steps_is_the_published_one() -> None:
    x = normal(2, 30)
    assert_close(grid(spec_of("w4-lsq", "weight"), x)[0], 2 * x.abs().mean(dim=1) / 7**0.5)
    unsigned = spec_of("a4-lsq-unsigned", "input")
    assert_close(RULES["lsq"](x.abs(), unsigned, "input", 0)[0], 4 * x.abs().mean(dim=1) / 15**0.5)
    deviation, mean = torch.std_mean(x, dim=1, correction=0)
    ends = torch.maximum((mean - 3 * deviation).abs(), (mean + 3 * deviation).abs())
    assert_close(grid(spec_of("w4-lsqplus", "weight"), x)[0], ends / 8)


def test_a_percentile_leaves_that_share_inside() -> None:
    x = normal(1, 1_000)
    step, _ = grid(spec_of("w8-percentile99", "weight"), x)
    assert float((x.abs() <= step * 127 * (1 + 1e-12)).double().mean()) == pytest.approx(0.99)


def test_the_gradient_of_a_routed_step_is_exact() -> None:
    """Identity, and on the value that sets the step what rounding does to all: by the formula."""
    x = normal(1, 40).requires_grad_()
    spec, up = spec_of("w4-e2m1-routed", "weight"), normal(1, 40, seed=1)
    quantizer = ElasticQuantizer("weight").train()
    y = quantizer(x, spec)
    y.backward(up)
    step = x.detach().abs().max() / 6
    u = x.detach() / step
    expected = up.clone()
    k = int(x.detach().abs().argmax())
    expected[0, k] += x.detach()[0, k].sign() / 6 * (up * (y.detach() / step - u)).sum()
    assert x.grad is not None
    assert_close(x.grad, expected, rtol=1e-12, atol=1e-12)


def test_routed_scales_of_inputs_have_their_gradient() -> None:
    """The largest value moves the scale, whichever way pictures lie in memory."""
    x = torch.randn(2, 3, 4, 4, generator=torch.Generator().manual_seed(0))
    spec = QuantSpec(4, signed=True, granularity="tensor", scale="routed")
    found = []
    for order in (torch.contiguous_format, torch.channels_last):
        leaf = x.clone().to(memory_format=order).requires_grad_()
        methods(spec, "input").grid(leaf)[0].sum().backward()
        found.append(leaf.grad)
    assert found[0] is not None
    assert found[0].count_nonzero() == 1
    torch.testing.assert_close(found[0], found[1])
