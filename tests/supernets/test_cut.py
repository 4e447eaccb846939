"""Parts of shared weights: gradients are those of plain slices, in place, whatever way they are asked for."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.testing import assert_close

from supernets.elastic.cut import cut

INDEX = (slice(0, 40), slice(8, 50))


def weight(seed: int = 0) -> nn.Parameter:
    """Large enough to be accumulated in place."""
    return nn.Parameter(torch.randn(64, 64, generator=torch.Generator().manual_seed(seed), dtype=torch.float64))


def twice(part: Callable[[Tensor], Tensor], w: Tensor) -> Tensor:
    """A loss that uses two overlapping parts of one weight, and the whole of it."""
    x = torch.linspace(-1, 1, 3 * 42, dtype=torch.float64).reshape(3, 42)
    inner = F.linear(x, part(w)).tanh()
    return (inner @ w[:40]).square().sum() + F.linear(x, part(w)).sin().sum() + w.square().sum()


def plain(w: Tensor) -> Tensor:
    """What torch does."""
    return w[INDEX]


def ours(w: Tensor) -> Tensor:
    """The same."""
    return cut(w, INDEX)


def expected(w: Tensor) -> Tensor:
    """The gradient by plain slices."""
    (gradient,) = torch.autograd.grad(twice(plain, w), w)
    return gradient


def test_a_part_is_a_view_and_the_whole_is_the_weight_itself() -> None:
    w = weight()
    assert torch.equal(ours(w), plain(w))
    assert ours(w).untyped_storage().data_ptr() == w.untyped_storage().data_ptr()
    assert cut(w, (slice(0, 64), slice(None))) is w


def test_backward_adds_to_what_is_there_or_not() -> None:
    """Twice in one graph, after another graph, and after gradients were set to ``None`` or to zero."""
    w = weight()
    twice(ours, w).backward()
    assert_close(w.grad, expected(w))
    twice(ours, w).backward()
    assert_close(w.grad, 2 * expected(w))
    optimiser = torch.optim.SGD([w], lr=0.1)
    for to_none in (True, False):
        loss = twice(ours, w)
        optimiser.zero_grad(set_to_none=to_none)  # between the two passes: nothing may still point to the old gradient
        loss.backward()
        assert_close(w.grad, expected(w))


def test_the_gradient_itself_can_be_asked_for() -> None:
    """By ``torch.autograd.grad``, which leaves ``.grad`` alone; by ``backward(inputs=...)``; by a second derivative."""
    w = weight()
    (gradient,) = torch.autograd.grad(twice(ours, w), w)
    assert_close(gradient, expected(w))
    assert w.grad is None
    twice(ours, w).backward(inputs=[w])
    assert_close(w.grad, expected(w))
    seconds = []
    for part in (ours, plain):
        (first,) = torch.autograd.grad(twice(part, w), w, create_graph=True)
        seconds.append(torch.autograd.grad(first.square().sum(), w)[0])
    assert_close(*seconds)


def test_gradients_pass_torch_own_check() -> None:
    w = torch.randn(3, 2, 32, 32, dtype=torch.float64, generator=torch.Generator().manual_seed(0), requires_grad=True)
    x = torch.randn(1, 1, 3, 3, dtype=torch.float64, requires_grad=True)
    index = (slice(0, 2), slice(1, 2), slice(15, 17), slice(15, 17))
    assert torch.autograd.gradcheck(lambda x, w: F.conv2d(x, cut(w, index)), (x, w))
    assert torch.autograd.gradgradcheck(lambda x, w: F.conv2d(x, cut(w, index)).square(), (x, w))


def test_a_weight_that_is_watched_or_no_leaf_gets_an_ordinary_gradient() -> None:
    w = weight()
    seen: list[Tensor] = []
    hook = w.register_hook(lambda gradient: seen.append(gradient.clone()))
    twice(ours, w).backward()
    assert_close(seen[0], expected(w))
    hook.remove()
    other = weight(1)
    twice(ours, other * 2.0).backward()
    assert_close(other.grad, 2 * expected(nn.Parameter(other.detach() * 2.0)))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_no_gradient_reaches_outside(dtype: torch.dtype) -> None:
    w = nn.Parameter(weight().detach().to(dtype))
    ours(w).square().sum().backward()
    assert w.grad is not None
    assert w.grad.dtype == dtype
    inside = torch.zeros_like(w, dtype=torch.bool)
    inside[INDEX] = True
    assert not w.grad[~inside].any()
    assert_close(w.grad[inside], 2 * w.detach()[inside])
