"""How to train: what the loop goes by, whatever the scheme."""

from __future__ import annotations

import math
import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import torch

from supernets.build import Supernet
from supernets.elastic import Mixture
from supernets.training.schemes import SCHEMES, NotTrainable

_WARM_UP_STEPS = 50
_TABLES_FACTOR = 0.1  # of the learning rate, for what quantizers learn: steps are much smaller than weights


BEFORE: Mapping[str, Any] = {"compile": False}
"""Settings that are younger than some trained weights, and what held where they are not said."""


@dataclass(frozen=True)
class Recipe:
    """How to train. ``learning_rate`` is the peak, reached after a warm-up, from where it falls on a cosine.

    It never falls below ``learning_rate_floor``, a share of the peak (BigNAS, section 3.1: a constant tail of 0.05).
    ``options`` are those of the scheme. ``autocast``: ``bf16`` to compute forward passes in bfloat16, weights stay in
    single precision. ``device``: where torch computes, ``cpu`` or ``cuda``. ``compile``: passes over activations are
    compiled (:mod:`supernets.quantization.kernels`, ``norms`` and ``clipped_norms``).
    """

    scheme: str = "sandwich"
    epochs: int = 80
    learning_rate: float = 3e-3
    weight_decay: float = 1e-4
    threads: int = 1
    learning_rate_floor: float = 0.0
    options: Mapping[str, Any] = field(default_factory=dict)
    autocast: str | None = None
    device: str = "cpu"
    compile: bool = False

    def check(self) -> None:
        """Raise :class:`NotTrainable` if there is no such device here, or nothing to compile with."""
        compiler = os.environ.get("CXX", "g++")  # torch asks so too; for a GPU it brings its own
        if self.compile and self.device == "cpu" and shutil.which(compiler) is None:
            raise NotTrainable(f"train.compile is true, but no {compiler} is found here: install it, or write false")
        if self.device == "cuda" and not torch.cuda.is_available():
            raise NotTrainable("train.device is cuda, but torch finds no GPU that it can use here: write device: cpu")

    @property
    def mixture(self) -> Mixture | None:
        """What the supernet has to be built with: ``build(space, mixture=recipe.mixture)``."""
        return SCHEMES[self.scheme].mixture(self.options)

    def factor(self, step: int, steps: int) -> float:
        """The learning rate of a step, as a share of the peak."""
        warm_up = min(_WARM_UP_STEPS, max(1, steps // 10))
        if step < warm_up:
            return (step + 1) / warm_up
        falling = 0.5 * (1 + math.cos(math.pi * (step - warm_up) / max(1, steps - warm_up)))
        return max(self.learning_rate_floor, falling)


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
