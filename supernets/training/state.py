"""The state of a training as bytes and facts, and back."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor

from supernets.build import Supernet
from supernets.training.recipe import BEFORE, Recipe


class CheckpointRefused(ValueError):
    """A checkpoint of another space, another seed or another recipe, or one that is no checkpoint."""


@dataclass(frozen=True)
class Maker:
    """What a training is of; a checkpoint goes on only with the same."""

    space: str
    digest: str
    seed: int
    recipe: Recipe

    def facts(self, losses: list[float]) -> dict[str, Any]:
        """What is kept beside the state, plain data."""
        return {"losses": losses, "space": self.space, "digest": self.digest, "seed": self.seed, **self._recipe()}

    def _recipe(self) -> dict[str, Any]:
        return {"recipe": {**asdict(self.recipe), "options": dict(self.recipe.options)}}

    def refuse_other(self, facts: dict[str, Any]) -> None:
        """Raise :class:`CheckpointRefused` for a checkpoint that was made from anything else; the message names it."""
        done = len(facts.get("losses", ()))
        place = f"checkpoint after epoch {done}"
        if facts.get("digest") != self.digest:
            was = f"{facts.get('space')} ({facts.get('digest')})"
            raise CheckpointRefused(f"{place}: it is of space {was}, this is {self.space} ({self.digest})")
        if facts.get("seed") != self.seed:
            raise CheckpointRefused(f"{place}: it is of seed {facts.get('seed')}, this is {self.seed}")
        theirs = {**BEFORE, **facts.get("recipe", {})}
        ours = self._recipe()["recipe"]
        other = [name for name in ours if theirs.get(name) != ours[name]]
        if other:
            said = ", ".join(f"{name} {theirs.get(name)!r}, this has {ours[name]!r}" for name in other)
            raise CheckpointRefused(f"{place}: it is of another recipe: {said}")


def state_of(net: Supernet, optimiser: torch.optim.Optimizer) -> bytes:
    """Weights and optimiser state, as safetensors."""
    tensors: dict[str, Tensor] = {f"weights/{name}": value.contiguous() for name, value in net.state_dict().items()}
    for index, state in optimiser.state_dict()["state"].items():
        for name, value in state.items():
            tensors[f"optimiser/{index}/{name}"] = value.contiguous()
    return save(tensors)


def restore(
    net: Supernet, optimiser: torch.optim.Optimizer, latest: tuple[bytes, dict[str, Any]] | None, maker: Maker
) -> list[float]:
    """Go back to a checkpoint; the losses of the epochs it has seen. Raises :class:`CheckpointRefused`."""
    if latest is None:
        return []
    maker.refuse_other(latest[1])
    try:
        tensors = load(latest[0])
    except SafetensorError as error:
        done = len(latest[1]["losses"])
        raise CheckpointRefused(f"checkpoint after epoch {done}: its state is damaged: {error}") from None
    net.load_state_dict({k.removeprefix("weights/"): v for k, v in tensors.items() if k.startswith("weights/")})
    states: dict[int, dict[str, Tensor]] = {}
    for name, value in tensors.items():
        if name.startswith("optimiser/"):
            _, index, field = name.split("/")
            states.setdefault(int(index), {})[field] = value
    optimiser.load_state_dict({"state": states, "param_groups": optimiser.state_dict()["param_groups"]})
    return list(latest[1]["losses"])
