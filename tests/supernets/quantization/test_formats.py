"""What every number format keeps to, and what single ones are known to be."""

from __future__ import annotations

import ml_dtypes
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from spaces.precision import FORMS, Format
from spaces.precision.forms import format_of
from supernets.quantization.formats import Levels, fitted, number, uniform
from supernets.quantization.roundings import ROUNDINGS

FORMATS = {
    f"{name}{bits}{'' if signed else ' unsigned'}": format_of(name, bits, signed)
    for name, form in FORMS.items()
    for bits in form.bits
    for signed in form.signs
    if (name, bits, signed) != ("int", 1, True)
}
EVERY = pytest.mark.parametrize("form", FORMATS.values(), ids=FORMATS)
SEEDS = st.integers(0, 2**32 - 1)


def levels(form: Format) -> Tensor:
    """All levels, ascending, by decoding every code; patterns of a float beyond its largest value are none."""
    codes = torch.arange(form.lowest, form.highest + 1, dtype=torch.int16)
    found = number(form).decode(codes).double()
    return found[(found >= form.low) & (found <= form.high)].unique()


def values(form: Format, seed: int, count: int = 200) -> Tensor:
    """Numbers within and beyond the range, dense around zero, some on levels."""
    draws = torch.Generator().manual_seed(seed)
    wide = (2 * torch.rand(count, generator=draws, dtype=torch.float64) - 1) * form.high * 1.3
    return torch.cat([wide, wide * 2.0 ** -torch.randint(0, 12, (count,), generator=draws), levels(form)])


@EVERY
def test_levels_are_what_the_data_says(form: Format) -> None:
    found = levels(form)
    assert len(found) <= 1 << form.bits
    assert (float(found[0]), float(found[-1])) == (form.low, form.high)
    assert bool((found == 0).any()) == form.has_zero


@EVERY
@settings(deadline=None, max_examples=4)
@given(seed=SEEDS)
def test_rounding_is_to_the_nearest_level(form: Format, seed: int) -> None:
    u, known = values(form, seed), levels(form)
    y = number(form).nearest(u)
    assert torch.isin(y, known).all()
    least = (u[:, None] - known).abs().amin(dim=1)
    assert torch.allclose((y - u).abs(), least, rtol=0, atol=1e-12)
    assert torch.equal(number(form).nearest(y), y)
    assert (number(form).nearest(u.sort().values).diff() >= 0).all()
    tie = (u[:, None] - known).abs().sort(dim=1).values
    single = tie[:, 0] < (tie[:, 1] if len(known) > 1 else torch.inf)
    if form.low == -form.high:
        assert torch.equal(number(form).nearest(-u)[single], -y[single])
    if form.has_zero:
        assert float(number(form).nearest(torch.zeros(1))) == 0.0


@EVERY
def test_codes_are_the_levels(form: Format) -> None:
    known = levels(form)
    codes = number(form).encode(known)
    assert codes.dtype == torch.int16
    assert codes.min() >= form.lowest
    assert codes.max() <= form.highest
    assert torch.equal(number(form).decode(codes).double(), known)


@EVERY
@settings(deadline=None, max_examples=4)
@given(seed=SEEDS)
def test_the_levels_around_a_value_are_neighbours(form: Format, seed: int) -> None:
    u, known = values(form, seed), levels(form)
    if len(known) == 1:
        return
    below, above = number(form).around(u)
    at = torch.searchsorted(known, below)
    assert torch.equal(known[at], below)
    assert torch.equal(known[at + 1], above)
    inside = (u >= form.low) & (u <= form.high)
    assert (below <= u)[inside].all()
    assert (u <= above)[inside].all()


@pytest.mark.parametrize(
    ("name", "bits", "dtype"),
    [
        ("e2m1", 4, ml_dtypes.float4_e2m1fn),
        ("e2m3", 6, ml_dtypes.float6_e2m3fn),
        ("e3m2", 6, ml_dtypes.float6_e3m2fn),
        ("e4m3", 8, ml_dtypes.float8_e4m3fn),
        ("e5m2", 8, ml_dtypes.float8_e5m2),
    ],
)
def test_small_floats_are_those_of_ml_dtypes(name: str, bits: int, dtype: type) -> None:
    """Values, and bit patterns, of all levels and of random numbers inside the range; ours has no infinities."""
    form = format_of(name, bits, True)
    u = values(form, 0).clamp(form.low, form.high).float()
    theirs = u.numpy().astype(dtype)
    ours = number(form).nearest(u)
    assert np.array_equal(ours.numpy(), theirs.astype(np.float32))
    nonzero = ours != 0  # the sign of what is rounded to zero means nothing
    assert np.array_equal(number(form).encode(ours).numpy()[nonzero], theirs.view(np.uint8).astype(np.int16)[nonzero])


def test_e2m1_is_what_the_standard_lists() -> None:
    found = levels(format_of("e2m1", 4, True))
    assert found[found >= 0].tolist() == [0, 0.5, 1, 1.5, 2, 3, 4, 6]


def test_one_bit_of_mid_rise_has_two_levels_also_at_a_tie_beyond_the_end() -> None:
    """Rounding -3/2 half to even, as published, makes a third one."""
    form = number(format_of("midrise", 1, True))
    assert form.nearest(torch.tensor([-1.0, -0.5, 0.5, 1.0])).unique().tolist() == [-0.5, 0.5]


def test_the_sign_of_zero_is_positive() -> None:
    assert float(number(format_of("binary", 1, True)).nearest(torch.zeros(1))) == 1.0


def test_powers_of_two_have_their_worst_relative_errors() -> None:
    """One third to the nearest power, sqrt(2) - 1 on a logarithmic scale; the first has the lower squared error."""
    form = number(format_of("pow2", 6, True))
    u = torch.linspace(0.002, 0.999, 20_000, dtype=torch.float64)
    linear, geometric = form.nearest(u), ROUNDINGS["geometric"].evaluation(form, u, None)
    worst = [float(((y - u) / u).abs().max()) for y in (linear, geometric)]
    assert worst[0] == pytest.approx(1 / 3, abs=1e-3)
    assert worst[1] == pytest.approx(2**0.5 - 1, abs=1e-3)
    assert float((linear - u).square().mean()) < float((geometric - u).square().mean())


def test_a_fitted_codebook_is_never_worse_than_the_grid_it_starts_from() -> None:
    """Eight levels, normal values: 0.035 against 0.10."""
    x = torch.randn(20_000, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    start = uniform(3).double() * float(x.abs().max())
    after = fitted(x, start)
    errors = [float((Levels(book).nearest(x) - x).square().mean()) for book in (start, after)]
    assert errors[1] < 0.036 < 0.08 < errors[0]
    assert (after.diff() > 0).all()
