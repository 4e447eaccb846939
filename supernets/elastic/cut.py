"""A part of a shared weight, whose gradient is added to the weight's in place.

A plain slice makes autograd fill a gradient as large as the whole weight, once per dimension, for each use. Here only
the part is touched. Where autograd asks for the gradient itself (``torch.autograd.grad``, ``create_graph=True``, hooks
on the weight, a weight that is no leaf) it gets a full one, as from a slice.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

Index = tuple[slice, ...]
_FEW = 2_048  # values; filling so few costs less than a call into Python


class _Cut(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, weight: Tensor, index: Index) -> Tensor:
        ctx.weight, ctx.index = weight, index
        return weight[index]

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, None]:
        weight, index = ctx.weight, ctx.index
        if not in_place(weight):
            full = gradient.new_zeros(weight.shape)
            full[index] = gradient
            return full, None
        gradient_of(weight)[index].add_(gradient)
        return None, None


def cut(weight: Tensor, index: Index) -> Tensor:
    """``weight[index]``, a view; all of it is the weight itself."""
    if all(s.start in (0, None) and s.stop in (n, None) for s, n in zip(index, weight.shape, strict=False)):
        return weight
    if weight.numel() < _FEW or not (weight.requires_grad and torch.is_grad_enabled()):
        return weight[index]
    return _Cut.apply(weight, index)  # type: ignore[no-untyped-call, no-any-return]


def in_place(weight: Tensor) -> bool:
    """Whether the backward pass that is running would add to ``weight.grad``, and nobody watches it do so.

    Torch tells by the call with which its own hooks on several gradients look (``torch.autograd.graph``).
    """
    if torch.is_grad_enabled() or not weight.is_leaf or weight._backward_hooks:
        return False
    node = torch.autograd.graph.get_gradient_edge(weight).node
    try:
        return bool(torch._C._will_engine_execute_node(node))
    except RuntimeError:  # torch's way to say that the gradient itself was asked for
        return False


def gradient_of(weight: Tensor) -> Tensor:
    """``weight.grad``, zeros if there is none yet."""
    if weight.grad is None:
        weight.grad = torch.zeros_like(weight)
    return weight.grad
