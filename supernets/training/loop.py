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

from spaces.randomness import generator
from supernets.build import Supernet
from supernets.training.protocols import Batches, Checkpoints
from supernets.training.sandwich import Sandwich

SCHEMES = {"sandwich": Sandwich}
"""Name in ``train.scheme`` -> class made from (space, seed, loss) with ``backward(net, images, labels, step)``."""

_WARM_UP_STEPS = 50
_SKIPS_IN_A_ROW = 20
_LONGEST_GRADIENT = 5.0
_TABLES_FACTOR = 0.1  # of the learning rate, for what quantizers learn: steps are much smaller than weights
_ADVICE = "; the last checkpoint is good: lower the learning rate"


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
"""Called after every step with (steps done, steps, its loss in nats)."""


def train(
    net: Supernet, data: Batches, recipe: Recipe, checkpoints: Checkpoints, seed: int, progress: Progress | None = None
) -> list[float]:
    """Train ``net`` in place, from the latest checkpoint if there is one; returns the mean loss of every epoch.

    A resumed training ends with the same weights, bit for bit, as one never interrupted (same threads, same machine).
    Source of the optimiser: Loshchilov & Hutter 2019, "Decoupled Weight Decay Regularization"; norms and biases are not
    decayed.

    Raises:
        TrainingDiverged: loss or gradient were not finite for 20 steps in a row, or in a whole epoch.
    """
    optimiser = optimiser_of(net, recipe)
    losses = _restore(net, optimiser, checkpoints.latest())
    epochs = _Epochs(net, data, recipe, SCHEMES[recipe.scheme](net.space, seed, data.loss), optimiser, seed, progress)
    net.train()
    with threads(recipe.threads):
        for epoch in range(len(losses), recipe.epochs):
            losses.append(epochs.run(epoch))
            checkpoints.save(_state(net, optimiser), {"losses": losses})
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


@dataclass(frozen=True)
class _Epochs:
    """What an epoch needs besides its number."""

    net: Supernet
    data: Batches
    recipe: Recipe
    scheme: Sandwich
    optimiser: torch.optim.Optimizer
    seed: int
    progress: Progress | None

    def run(self, epoch: int) -> float:
        """One epoch; its mean loss. A step whose loss or gradient is not finite is skipped: weights stay finite."""
        total, taken, skipped = 0.0, 0, 0
        steps = self.recipe.epochs * self.data.steps
        for step, (images, labels) in enumerate(self.data.epoch(epoch), epoch * self.data.steps):
            for group in self.optimiser.param_groups:
                group["lr"] = self.recipe.learning_rate * group["factor"] * _factor(step, steps)
            self.net.draws.manual_seed(int(generator(self.seed, "train.rounding", step).integers(2**62)))
            self.optimiser.zero_grad()
            loss = float(self.scheme.backward(self.net, images, labels, step))
            norm = float(torch.nn.utils.clip_grad_norm_(self.net.parameters(), _LONGEST_GRADIENT))
            skipped = 0 if math.isfinite(loss) and math.isfinite(norm) else skipped + 1
            if skipped == _SKIPS_IN_A_ROW:
                what = f"loss or gradient were not finite {skipped} times in a row"
                raise TrainingDiverged(f"epoch {epoch}: {what}{_ADVICE}")
            if skipped:
                continue
            self.optimiser.step()
            total, taken = total + loss, taken + 1
            if self.progress is not None:
                self.progress(step + 1, steps, loss)
        if taken == 0:
            raise TrainingDiverged(f"epoch {epoch}: no step had a finite loss and gradient{_ADVICE}")
        return total / taken


def _factor(step: int, steps: int) -> float:
    warm_up = min(_WARM_UP_STEPS, max(1, steps // 10))
    if step < warm_up:
        return (step + 1) / warm_up
    return 0.5 * (1 + math.cos(math.pi * (step - warm_up) / max(1, steps - warm_up)))


def optimiser_of(net: Supernet, recipe: Recipe) -> torch.optim.Optimizer:
    """AdamW over all parameters; a group of their own for those that quantizers learn."""
    tables = [p for name, p in net.named_parameters() if "quantizer.tables." in name]
    learned = set(map(id, tables))
    others = [p for p in net.parameters() if id(p) not in learned]
    groups: list[dict[str, Any]] = [
        {"params": [p for p in others if p.dim() > 1], "weight_decay": recipe.weight_decay, "factor": 1.0},
        {"params": [p for p in others if p.dim() <= 1], "weight_decay": 0.0, "factor": 1.0},
    ]
    if tables:
        groups.append({"params": tables, "weight_decay": 0.0, "factor": _TABLES_FACTOR})
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
