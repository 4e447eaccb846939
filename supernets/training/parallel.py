"""Data-parallel training: every process of ``torch.distributed`` takes its share of each batch, gradients are averaged.

Not by hooks on gradients, as ``DistributedDataParallel`` does it: slices of weights add to gradients in place, several
times a step. One sum over all gradients follows the last backward pass of a step. Statistics of batch norms and ranges
are those of a process's own share. Without an initialised process group nothing here does anything.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, distributed


def rank() -> int:
    """Number of this process, from 0; 0 where there is one."""
    return distributed.get_rank() if _several() else 0


def share(x: Tensor) -> Tensor:
    """The examples of a batch (b, ...) that this process computes on; all processes take equally many."""
    if not _several():
        return x
    each = len(x) // distributed.get_world_size()
    return x[rank() * each : (rank() + 1) * each]


def average(parameters: Sequence[Tensor], loss: Tensor) -> Tensor:
    """Replace the gradients by their means over processes; returns the mean of the loss.

    A gradient that no process has stays ``None``; one that some have is zero in the others.
    """
    if not _several():
        return loss
    had = torch.tensor([p.grad is not None for p in parameters], dtype=torch.int32, device=loss.device)
    distributed.all_reduce(had, distributed.ReduceOp.MAX)
    parts = [p for p, one in zip(parameters, had.tolist(), strict=True) if one]
    gradients = [torch.zeros_like(p) if p.grad is None else p.grad for p in parts]
    flat = torch.cat([loss.detach().to(gradients[0].dtype).reshape(1), *(g.reshape(-1) for g in gradients)])
    distributed.all_reduce(flat)
    flat /= distributed.get_world_size()
    for p, mean in zip(parts, torch.split(flat[1:], [p.numel() for p in parts]), strict=True):
        p.grad = mean.reshape(p.shape)
    return flat[0]


def _several() -> bool:
    return distributed.is_available() and distributed.is_initialized() and distributed.get_world_size() > 1
