"""Schemes in a ``space.yaml``: their options, their schema, what they cannot train, and a training that diverges."""

from __future__ import annotations

import inspect
import io
import math
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import torch
from torch import Tensor

from nas.api import search
from nas.data import Shuffled
from nas.deliver import deliver
from nas.evaluate import Evaluator
from nas.experiment import load, schema
from nas.schemes import SCHEMES
from nas.stages.train import dataset_of, entry_of, trained
from nas.store import Entry, Store
from nas.terminal import Progress, Terminal
from spaces.yaml import Problems, Section, SpecError
from spaces.yaml.schema import Recorder
from supernets import Mixture, NotTrainable, TrainingDiverged, training
from tests.nas.tiny import TINY, asked


def refused(folder: Path, text: str, problem: str) -> None:
    """The whole message of the one problem, to the letter."""
    path = folder / "space.yaml"
    path.write_text(text, encoding="utf-8")
    message = f"{path}:{problem}\n1 problem; nothing was written"
    with pytest.raises(SpecError, match=rf"\A{re.escape(message)}\Z"):
        load(path)


def defaults(scheme: str) -> dict[str, Any]:
    """The options that a scheme has where nothing is written."""
    problems = Problems("space.yaml")
    return SCHEMES[scheme](Section(None, "space.train", problems))


@pytest.mark.parametrize("scheme", SCHEMES)
def test_defaults_of_options_are_those_of_the_schemes(scheme: str) -> None:
    """Written down twice, since reading must not load torch; the names, the values and their types are the same."""
    parameters = list(inspect.signature(training.SCHEMES[scheme].__init__).parameters.values())[2:]
    theirs = {p.name: p.default for p in parameters}
    ours = {k: tuple(v) if isinstance(v, list) else v for k, v in defaults(scheme).items()}
    assert ours == theirs


def test_a_scheme_that_cannot_train_the_space_is_refused_where_it_is_named(tmp_path: Path) -> None:
    """Before anything is trained."""
    stages = "stages: [{depth: {choice: [1, 2]}, kernel: {choice: [3, 5], per: block}}]"
    needs = "choice stages.0.1.kernel is there only where stages.0.depth in [2]: its values cannot come equally"
    refused(
        tmp_path,
        f"model: {{family: convnet, {stages}}}\ntrain: {{scheme: fair}}\n",
        f"2:17: scheme fair cannot train this space: {needs} [not-trainable]\n  hint: choose the scheme uniform",
    )
    cells = "cells: 1, head: {depth: 1, operation: {choice: [simple_3]}}, body: {depth: 1, operation: simple_3}"
    rest = "skip: {operation: simple_3}, upsample: {operation: simple_3}, tail: {depth: 0, operation: simple_3}"
    model = f"model: {{family: superres, input: [3, 8, 8], scale: 2, channels: 4, {cells}, {rest}}}"
    refused(
        tmp_path,
        f"{model}\ntrain: {{scheme: alpha_divergence}}\n",
        "2:17: scheme alpha_divergence compares classes, this network makes pictures [not-trainable]\n"
        "  hint: choose the scheme sandwich",
    )


@pytest.mark.parametrize("name", SCHEMES)
def test_each_scheme_has_options_of_its_own_in_the_schema(name: str) -> None:
    """What the reader asks for, and nothing else."""
    whole, recorder = schema(), Recorder(name)
    validator = jsonschema.Draft202012Validator(whole)
    SCHEMES[name](Section(None, "space.train", recorder))
    model = {"family": "convnet", "stages": []}
    (variant,) = [
        v["then"]["properties"]["train"]
        for v in whole["allOf"]
        if v["if"]["properties"].get("train", {}).get("properties") == {"scheme": {"const": name}}
    ]
    options = {path.removeprefix("space.train.") for path in recorder.paths}
    assert options <= set(variant["properties"])
    assert validator.is_valid({"train": {"scheme": name, "epochs": 3}, "model": model})
    assert not validator.is_valid({"train": {"scheme": name, "typo": 3}, "model": model})
    other = "guidance" if name != "eqnet" else "phases"
    assert not validator.is_valid({"train": {"scheme": name, other: "chain"}, "model": model})
    assert validator.is_valid({"model": model, "train": {"zero_residuals": True}}), "the options of the default"


def test_a_checkpoint_of_another_artefact_gives_way_to_the_one_before(tmp_path: Path) -> None:
    """Someone copied it: it verifies, but it is not of these inputs."""
    entry = Entry(tmp_path, "train", {"seed": 0})
    entry.checkpoint(b"first", {"step": 1})
    other = Entry(tmp_path, entry.stage, {"other": 1})
    other.checkpoint(b"not ours", {"step": 1})
    for suffix in ("bin", "json"):
        copied = (other.path / f"checkpoint-1.{suffix}").read_bytes()
        (entry.path / f"checkpoint-2.{suffix}").write_bytes(copied)
    said: list[str] = []
    assert entry.latest_checkpoint(said.append) == (b"first", {"step": 1})
    place, (theirs, ours) = entry.path / "checkpoint-2.json", (f"{e.stage}/{e.digest}" for e in (other, entry))
    what = f"{place}: it is a checkpoint of {theirs}, not of {ours}"
    assert said == [f"{what}; checkpoint 1, the one before, is tried"]
    assert entry.newest_checkpoint == entry.path / "checkpoint-2.bin"
    assert Entry(tmp_path, entry.stage, {"none": 1}).newest_checkpoint is None


class _Broken(Shuffled):
    """Images are not finite from the second epoch on."""

    def epoch(self, number: int) -> Iterator[tuple[Tensor, Tensor]]:
        for images, labels in super().epoch(number):
            yield images * (math.nan if number else 1.0), labels


def test_a_training_that_diverges_names_the_file_of_the_last_good_checkpoint(tmp_path: Path) -> None:
    made, store, said = asked(tmp_path), Store(tmp_path / "store"), io.StringIO()
    dataset, _ = dataset_of(made, 0)
    what = "epoch 2: loss or gradient were not finite 20 times in a row; the last good checkpoint is that after epoch 1"
    path = rf"{re.escape(str(tmp_path))}/store/train/[0-9a-f]{{16}}/checkpoint-1\.bin"
    with pytest.raises(TrainingDiverged, match=rf"\A{path}: {what}: lower the learning rate\Z"):
        trained(made, 0, store, _Broken(dataset, 16, 0), Progress(Terminal(stream=said), "2 train"))


def test_a_supernet_of_experts_is_built_from_its_file_kept_and_taken_from_the_store(tmp_path: Path) -> None:
    """Its parts are those that the recipe asks for; another number of experts is another artefact."""
    text = TINY.replace("scheme: sandwich, epochs: 3", "scheme: mixture, experts: 3, routing: neuron, epochs: 1")
    made, store, terminal = asked(tmp_path, text), Store(tmp_path / "store"), Terminal(stream=io.StringIO())
    dataset, batches = dataset_of(made, 0)
    (net, entry), (again, _) = (trained(made, 0, store, batches, Progress(terminal, "2 train")) for _ in range(2))
    assert net.mixture == Mixture(3, "neuron")
    assert all(torch.equal(v, again.state_dict()[n]) for n, v in net.state_dict().items())
    evaluate, architecture = Evaluator(net, dataset, batches), made.space.extreme(max, "w8a8")
    sent = deliver(made, evaluate, architecture, tmp_path / "exports")
    assert sent.agreement.kept
    other = asked(tmp_path, text.replace("experts: 3", "experts: 2"))
    assert entry_of(other, 0, store, batches.digest).digest != entry.digest


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_a_gpu_that_is_not_there_is_said_before_anything_is_written(tmp_path: Path) -> None:
    source = tmp_path / "space.yaml"
    source.write_text(TINY.replace("epochs: 3", "epochs: 3, device: cuda, autocast: bf16"), encoding="utf-8")
    message = "train.device is cuda, but torch finds no GPU that it can use here: write device: cpu"
    with pytest.raises(NotTrainable, match=rf"\A{message}\Z"):
        search(source, runs=tmp_path / "runs")
    assert not (tmp_path / "runs").exists()
