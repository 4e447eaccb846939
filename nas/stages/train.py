"""Stage 1 and 2: build the supernet and train it, or take the trained one from the store."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import torch
from safetensors.torch import load, save

from nas.data import DATASETS, DataError, Dataset, Request, Shuffled
from nas.datasets import enlarges, reads
from nas.experiment import Experiment
from nas.files import sha256
from nas.store import Entry, Store
from nas.terminal import Progress
from spaces.randomness import seed_for
from supernets import Supernet, TrainingDiverged, begin_with, build, train
from supernets.training.recipe import BEFORE

WEIGHTS = "weights.safetensors"


class _Checkpoints:
    """The ``Checkpoints`` of a training, in the store."""

    def __init__(self, entry: Entry, warn: Callable[[str], None]) -> None:
        self._entry, self._warn = entry, warn

    def save(self, state: bytes, facts: dict[str, Any]) -> None:
        self._entry.checkpoint(state, facts)

    def latest(self) -> tuple[bytes, dict[str, Any]] | None:
        return self._entry.latest_checkpoint(self._warn)


def entry_of(asked: Experiment, seed: int, store: Store, examples: str) -> Entry:
    """Where the trained weights of this experiment and seed belong. ``examples``: digest of the dataset."""
    settings = asked.to_json()
    data = {**settings["data"], "root": None, "examples": examples}  # wherever they lie
    recipe = {name: value for name, value in settings["train"].items() if (name, value) not in BEFORE.items()}
    inputs = {
        "space": settings["space"],
        "data": data,
        "train": recipe,
        "seed": seed,
        "torch": torch.__version__,
    }
    if asked.own is not None and asked.own.weights is not None:
        inputs["weights"] = sha256(asked.own.weights)
    return store.entry("train", inputs)


def dataset_of(asked: Experiment, seed: int) -> tuple[Dataset, Shuffled]:
    """The dataset and the batches that training draws from it. Raises ``DataError``."""
    outline, data = asked.space.outline, asked.data
    made = Request(outline.input_shape, outline.classes, root=asked.root, options=data.options, plugins=asked.plugins)
    if outline.records:  # a space without layers is searched for something else than a network
        made = replace(made, reads=reads(asked.space), scale=enlarges(asked.space))
    dataset = DATASETS[data.dataset](made)
    if outline.records and (dataset.shape, dataset.classes) != (outline.input_shape, outline.classes):
        has = f"inputs {list(dataset.shape)} and {dataset.classes} outputs"
        takes = f"{list(outline.input_shape)} and {outline.classes}"
        hint = "name the data it is for: data: {dataset: …}; docs/data.md lists them"
        raise DataError(f"dataset {dataset.name}", f"it has {has}, the network {takes}", "wrong-shape", hint)
    return dataset, Shuffled(dataset, asked.data.batch, seed_for(seed, "data"))


def trained(
    asked: Experiment, seed: int, store: Store, batches: Shuffled, progress: Progress
) -> tuple[Supernet, Entry]:
    """The trained supernet in ``eval()`` mode, and its entry in the store; resumes a training that was stopped."""
    recipe = asked.train.recipe()
    net = build(asked.space, seed_for(seed, "train.weights"), mixture=recipe.mixture)
    if asked.own is not None and asked.own.weights is not None:
        begin_with(net, load(asked.own.weights))
    entry = entry_of(asked, seed, store, batches.digest)
    with entry.lock():
        if not entry.complete:
            before = entry.latest_checkpoint(lambda _: None)  # what is damaged is said when it is read again
            resumed = len(before[1]["losses"]) if before else 0

            def step_done(done: int, steps: int, loss: float) -> None:
                epoch = -(-done // batches.steps)
                progress("step", done, steps, f"epoch {epoch}/{asked.train.epochs}, loss {loss:.3f}")

            kept, of = _Checkpoints(entry, progress.warn), seed_for(seed, "train")
            try:
                losses = train(net, batches, recipe, kept, of, step_done, progress.warn)
            except TrainingDiverged as error:
                raise TrainingDiverged(f"{entry.newest_checkpoint or entry.path}: {error}") from None
            entry.write(WEIGHTS, save(net.state_dict()))
            entry.write_json("losses.json", losses)
            entry.finish(epochs=len(losses), loss=losses[-1])
            progress.outcome = f"{len(losses)} epochs, loss {losses[-1]:.3f}" + (
                f", resumed after {resumed}" if resumed else ""
            )
        else:
            progress.outcome = f"taken from the store ({entry.digest})"
    net.load_state_dict(load(entry.read(WEIGHTS)))
    return net.eval(), entry
