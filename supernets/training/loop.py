"""The training loop: epochs, steps, checkpoints; what a step trains is the scheme's business."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from spaces.randomness import generator
from supernets.build import Supernet
from supernets.quantization.kernels import compiled
from supernets.training import parallel
from supernets.training.protocols import Batches, Checkpoints
from supernets.training.recipe import Recipe, optimiser_of
from supernets.training.schemes import SCHEMES, NotTrainable, Scheme, Setting
from supernets.training.state import Maker, restore, state_of

_SKIPS_IN_A_ROW = 20
_LONGEST_GRADIENT = 5.0


class TrainingDiverged(RuntimeError):
    """The loss stayed non-finite; the message names the last good checkpoint."""


Progress = Callable[[int, int, float], None]
"""Called after every step with (steps done, steps, its loss in nats)."""
Note = Callable[[str], None]
"""Called with a line for every epoch in which steps were skipped."""


def train(
    net: Supernet, data: Batches, recipe: Recipe, checkpoints: Checkpoints, seed: int,
    progress: Progress | None = None, note: Note | None = None,
) -> list[float]:  # fmt: skip
    """Train ``net`` in place, from the latest checkpoint if there is one; returns the mean loss of every epoch.

    A resumed training ends with the same weights, bit for bit, as one never interrupted (same threads, same machine).
    Source of the optimiser: Loshchilov & Hutter 2019, "Decoupled Weight Decay Regularization"; norms and biases are not
    decayed.

    Raises:
        TrainingDiverged: loss or gradient were not finite for 20 steps in a row, or in a whole epoch.
        CheckpointRefused: the latest checkpoint is of another space, seed or recipe.
        NotTrainable: the scheme cannot train this space, or for this loss, or a supernet of so many experts; or there
            is no such device.
    """
    recipe.check()
    if net.mixture != recipe.mixture:
        needed, given = (mixture or "one weight per layer" for mixture in (recipe.mixture, net.mixture))
        what = f"scheme {recipe.scheme} trains a supernet of {needed}; this one has {given}"
        raise NotTrainable(f"{what}: build it with mixture=recipe.mixture")
    setting = Setting(net.space, seed, recipe.epochs * data.steps, data.loss)
    scheme = SCHEMES[recipe.scheme](setting, **recipe.options)
    maker = Maker(net.space.name, net.space.digest, seed, recipe)
    with threads(recipe.threads), _placed(net, recipe):
        optimiser = optimiser_of(net, recipe)
        losses = restore(net, optimiser, checkpoints.latest(), maker)
        if not losses:
            scheme.start(net)
        epochs = _Epochs(net, data, recipe, scheme, optimiser, seed, progress, note)
        net.train()
        for epoch in range(len(losses), recipe.epochs):
            losses.append(epochs.run(epoch))
            if parallel.rank() == 0:
                checkpoints.save(state_of(net, optimiser), maker.facts(losses))
    net.eval()
    return losses


@contextmanager
def _placed(net: Supernet, recipe: Recipe) -> Iterator[None]:
    """Within it the supernet is on the recipe's device and computes as the recipe says; after that as before."""
    before, known = next(net.parameters()).device, net.kernels
    net.kernels = compiled() if recipe.compile else known
    net.autocast = torch.bfloat16 if recipe.autocast == "bf16" else None
    try:
        net.to(recipe.device)
        yield
    finally:
        net.autocast, net.kernels = None, known
        net.to(before)


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
    scheme: Scheme
    optimiser: torch.optim.Optimizer
    seed: int
    progress: Progress | None
    note: Note | None

    def run(self, epoch: int) -> float:
        """One epoch; its mean loss. A step whose loss or gradient is not finite is skipped: weights stay finite."""
        total, taken, skipped, in_a_row = 0.0, 0, 0, 0
        steps = self.recipe.epochs * self.data.steps
        for step, (images, labels) in enumerate(self.data.epoch(epoch), epoch * self.data.steps):
            loss = self._step(images, labels, step, steps)
            if loss is None:
                skipped, in_a_row = skipped + 1, in_a_row + 1
                if in_a_row == _SKIPS_IN_A_ROW:
                    raise _diverged(epoch, f"loss or gradient were not finite {in_a_row} times in a row")
                continue
            total, taken, in_a_row = total + loss, taken + 1, 0
            if self.progress is not None:
                self.progress(step + 1, steps, loss)
        if taken == 0:
            raise _diverged(epoch, "no step had a finite loss and gradient")
        if skipped and self.note is not None:
            why = "loss or gradient were not finite"
            self.note(f"epoch {epoch + 1}: {skipped} of {skipped + taken} steps were skipped, their {why}")
        return total / taken

    def _step(self, images: Tensor, labels: Tensor, step: int, steps: int) -> float | None:
        """Its loss; ``None`` if it was skipped."""
        for group in self.optimiser.param_groups:
            group["lr"] = self.recipe.learning_rate * group["factor"] * self.recipe.factor(step, steps)
        self.net.draws.manual_seed(int(generator(self.seed, "train.rounding", step).integers(2**62)))
        self.optimiser.zero_grad()
        images, labels = (parallel.share(x).to(self.recipe.device) for x in (images, labels))
        parameters = list(self.net.parameters())
        loss = float(parallel.average(parameters, self.scheme.backward(self.net, images, labels, step)))
        norm = float(torch.nn.utils.clip_grad_norm_(parameters, _LONGEST_GRADIENT))
        if not (math.isfinite(loss) and math.isfinite(norm)):
            return None
        self.optimiser.step()
        return loss


def _diverged(epoch: int, what: str) -> TrainingDiverged:
    """``epoch`` counts from 0: as many were finished, and the checkpoint of each is good."""
    good = f"the last good checkpoint is that after epoch {epoch}" if epoch else "there is no checkpoint yet"
    return TrainingDiverged(f"epoch {epoch + 1}: {what}; {good}: lower the learning rate")
