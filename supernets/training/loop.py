"""The training loop: epochs, optimiser, learning rate, checkpoints; what a step does is the scheme's business."""

from __future__ import annotations

import math
from collections.abc import Callable
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from safetensors.torch import load, save
from torch import Tensor

from supernets.build import Supernet
from supernets.training.protocols import Batches, Checkpoints
from supernets.training.sandwich import Sandwich

SCHEMES = {"sandwich": Sandwich}
"""Name in ``train.scheme`` -> class made from (space, seed) with ``backward(net, images, labels, step)``."""

_WARM_UP_STEPS = 50
_SKIPS_IN_A_ROW = 20


class TrainingDiverged(RuntimeError):
    """The loss stayed non-finite; the last checkpoint is good."""


@dataclass(frozen=True)
class Recipe:
    """How to train. ``learning_rate`` is the peak, reached after a warm-up, from where it falls to 0 on a cosine."""

    scheme: str = "sandwich"
    epochs: int = 80
    learning_rate: float = 3e-3
    weight_decay: float = 1e-4
    threads: int = 1


Progress = Callable[[int, int, float], None]
"""Called after every epoch with (epochs done, epochs, mean loss in nats)."""


def train(
    net: Supernet, data: Batches, recipe: Recipe, checkpoints: Checkpoints, seed: int, progress: Progress | None = None
) -> list[float]:
    """Train ``net`` in place, from the latest checkpoint if there is one; returns the mean loss of every epoch.

    A resumed training ends with the same weights, bit for bit, as one never interrupted (same threads, same machine).
    Source of the optimiser: Loshchilov & Hutter 2019, "Decoupled Weight Decay Regularization"; norms and biases are not
    decayed.

    Raises:
        TrainingDiverged: the loss was not finite for 20 steps in a row.
    """
    scheme = SCHEMES[recipe.scheme](net.space, seed)
    optimiser = _optimiser(net, recipe)
    losses = _restore(net, optimiser, checkpoints.latest())
    net.train()
    with threads(recipe.threads):
        for epoch in range(len(losses), recipe.epochs):
            losses.append(_epoch(net, data, recipe, scheme, optimiser, epoch))
            checkpoints.save(_state(net, optimiser), {"losses": losses})
            if progress is not None:
                progress(epoch + 1, recipe.epochs, losses[-1])
    net.eval()
    return losses


@contextmanager
def threads(count: int) -> Any:
    """Within it torch computes with this many threads; restored after."""
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _epoch(
    net: Supernet, data: Batches, recipe: Recipe, scheme: Sandwich, optimiser: torch.optim.Optimizer, epoch: int
) -> float:
    total, taken, skipped = 0.0, 0, 0
    for position, (images, labels) in enumerate(data.epoch(epoch)):
        step = epoch * data.steps + position
        for group in optimiser.param_groups:
            group["lr"] = recipe.learning_rate * _factor(step, recipe.epochs * data.steps)
        optimiser.zero_grad()
        loss = float(scheme.backward(net, images, labels, step))
        if not math.isfinite(loss):
            skipped += 1
            if skipped >= _SKIPS_IN_A_ROW:
                raise TrainingDiverged(
                    f"epoch {epoch}: the loss was not finite {skipped} times in a row; lower the learning rate"
                )
            continue
        skipped = 0
        torch.nn.utils.clip_grad_norm_(net.parameters(), 5.0)
        optimiser.step()
        total, taken = total + loss, taken + 1
    if taken == 0:
        raise TrainingDiverged(f"epoch {epoch}: no step had a finite loss; lower the learning rate")
    return total / taken


def _factor(step: int, steps: int) -> float:
    warm_up = min(_WARM_UP_STEPS, max(1, steps // 10))
    if step < warm_up:
        return (step + 1) / warm_up
    return 0.5 * (1 + math.cos(math.pi * (step - warm_up) / max(1, steps - warm_up)))


def _optimiser(net: Supernet, recipe: Recipe) -> torch.optim.Optimizer:
    decayed = [p for p in net.parameters() if p.dim() > 1]
    others = [p for p in net.parameters() if p.dim() <= 1]
    groups: list[dict[str, Any]] = [
        {"params": decayed, "weight_decay": recipe.weight_decay},
        {"params": others, "weight_decay": 0.0},
    ]
    # One fused pass over all parameters: small networks spend more time in calls than in arithmetic.
    return torch.optim.AdamW(groups, lr=recipe.learning_rate, fused=True)


def _state(net: Supernet, optimiser: torch.optim.Optimizer) -> bytes:
    tensors: dict[str, Tensor] = {f"weights/{name}": value.contiguous() for name, value in net.state_dict().items()}
    for index, state in optimiser.state_dict()["state"].items():
        for name, value in state.items():
            tensors[f"optimiser/{index}/{name}"] = value.contiguous()
    return save(tensors)


def _restore(
    net: Supernet, optimiser: torch.optim.Optimizer, latest: tuple[bytes, dict[str, Any]] | None
) -> list[float]:
    if latest is None:
        return []
    tensors = load(latest[0])
    net.load_state_dict({k.removeprefix("weights/"): v for k, v in tensors.items() if k.startswith("weights/")})
    states: dict[int, dict[str, Tensor]] = {}
    for name, value in tensors.items():
        if name.startswith("optimiser/"):
            _, index, field = name.split("/")
            states.setdefault(int(index), {})[field] = value
    optimiser.load_state_dict({"state": states, "param_groups": optimiser.state_dict()["param_groups"]})
    return list(latest[1]["losses"])
