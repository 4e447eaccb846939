"""What the backward pass of a layer keeps of the rounded tensors that it reads: a byte per value instead of four."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass

import torch
from torch import Tensor

from supernets.quantization.kernels import EAGER, FEW, Kernels, dense

_BYTE = 255


@dataclass(frozen=True)
class Steps:
    """Values are ``scale`` times whole numbers from ``low`` on. A Function that rounds says so, as ``ctx.steps``."""

    scale: Tensor
    low: float
    kernels: Kernels = EAGER


def steps(scale: Tensor, low: float | Tensor, high: float | Tensor, kernels: Kernels = EAGER) -> Steps | None:
    """``None`` for more levels than a byte has, or levels that differ by channel."""
    if isinstance(low, Tensor) or isinstance(high, Tensor) or high - low > _BYTE:
        return None
    return Steps(scale.detach(), float(low), kernels)


@dataclass(frozen=True)
class _Packed:
    codes: Tensor
    steps: Steps
    size: torch.Size
    stride: tuple[int, ...]


@contextmanager
def compact(*tensors: Tensor) -> Iterator[None]:
    """While a layer computes: what autograd keeps of ``tensors`` is kept as codes. Their values come back bit for bit.

    Small tensors, and those that no Function of this package rounded to few levels, are kept as they are.
    """
    large = [t for t in tensors if t.numel() >= FEW]
    known = {t.data_ptr(): (t, found) for t in large if (found := _steps(t)) is not None}

    def pack(kept: Tensor) -> Tensor | _Packed:
        tensor, found = known.get(kept.data_ptr(), (None, None))
        if tensor is None or found is None or tensor.numel() != kept.numel() or tensor.dtype != kept.dtype:
            return kept
        codes = found.kernels.coded(tensor.detach(), found.scale, found.low)
        return _Packed(codes, found, kept.size(), kept.stride())

    with torch.autograd.graph.saved_tensors_hooks(pack, _unpack) if known else nullcontext():
        try:
            yield
        finally:
            known.clear()  # autograd keeps what packs


def _unpack(kept: Tensor | _Packed) -> Tensor:
    if isinstance(kept, Tensor):
        return kept
    of = kept.steps
    return of.kernels.decoded(kept.codes, of.scale, of.low).as_strided(kept.size, kept.stride)


def _steps(tensor: Tensor) -> Steps | None:
    found = getattr(tensor.grad_fn, "steps", None)
    return found if isinstance(found, Steps) and dense(tensor) else None
