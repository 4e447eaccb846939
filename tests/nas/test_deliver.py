"""Delivery: files that prove themselves, or an error that says where the forms differ and nothing written."""

from __future__ import annotations

import dataclasses
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime as ort
import pytest
import torch
from safetensors.torch import load as load_safetensors

from nas import deliver as module
from nas import experiment, files
from nas.data.tasks import Classification
from nas.deliver import ProofFailed, deliver, facts, run_file
from nas.evaluate import Evaluator
from nas.experiment import Experiment
from predictors.latency import Target
from predictors.latency.backends import Audit
from predictors.latency.backends import onnxruntime as backend
from spaces import Architecture
from supernets import Quantized, export, extract, threads
from tests.nas.tiny import Finished


@pytest.fixture(scope="module")
def asked(finished: Finished) -> Experiment:
    """The experiment of the finished search."""
    return experiment.load(finished.source)


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """As the pipeline runs."""
    with threads(1):
        yield


@pytest.fixture
def mixed(asked: Experiment) -> Architecture:
    """8-bit, 4-bit and float layers in one network."""
    return asked.space.architecture(
        {
            "stages.0.depth": 2, "stages.0.width": 8, "stages.0.0.kernel": 3, "stages.0.1.kernel": 3,
            "stages.1.width": 8, "stages.0.0.conv.precision": "w8a8", "stages.0.1.conv.precision": "w4a8",
            "stages.1.0.conv.precision": "float", "classifier.precision": "w8a8",
        }
    )  # fmt: skip


def test_a_delivery_is_five_files_in_a_folder_of_the_key(
    asked: Experiment, evaluator: Evaluator, mixed: Architecture, tmp_path: Path
) -> None:
    """Model, architecture and weights; what comes back says what they are."""
    made = deliver(asked, evaluator, mixed, tmp_path / "exports")
    assert made.folder == tmp_path / "exports" / mixed.key
    assert {p.name for p in made.folder.iterdir()} == {
        "model.onnx",
        "architecture.json",
        "weights.safetensors",
        "data.json",
        "outline.json",
    }
    assert (made.folder / "model.onnx").read_bytes() == made.model
    interface = evaluator.dataset.interface(1)
    about = json.loads((made.folder / "architecture.json").read_text(encoding="utf-8"))
    assert about == {"key": mixed.key, "architecture": dict(mixed), **interface}
    stored = {p.key: json.loads(p.value) for p in onnx.load_from_string(made.model).metadata_props}
    assert stored == interface
    about = json.loads((made.folder / "data.json").read_text(encoding="utf-8"))
    assert about == evaluator.dataset.about
    assert about.keys() == {"mean", "deviation", "low", "high", "classes"}
    assert made.validation == evaluator(mixed)
    assert made.container == ["stages.0.1.conv"]
    assert made.simulated == []
    assert made.agreement.value >= 0.995
    kernels = dict(made.audit.layers)
    assert kernels.pop("stages.1.0.conv") in {"Conv", "FusedConv"}
    assert kernels == {"stages.0.0.conv": "QLinearConv", "stages.0.1.conv": "QLinearConv", "classifier": "QGemm"}


def test_a_program_of_torch_comes_with_it_if_asked_for(
    asked: Experiment, evaluator: Evaluator, mixed: Architecture, tmp_path: Path
) -> None:
    """It gives what the file gives."""
    made = deliver(dataclasses.replace(asked, program=True), evaluator, mixed, tmp_path)
    run = export.loaded((made.folder / "program.pt2").read_bytes())
    images = evaluator.dataset.test.images[:5]
    found = torch.cat([run(image[None]) for image in images])
    file = torch.from_numpy(run_file(made.model, images.numpy(), Target()))
    assert torch.equal(found.argmax(dim=1), file.argmax(dim=1))


def test_the_weights_file_holds_the_integer_codes(
    asked: Experiment, evaluator: Evaluator, mixed: Architecture, tmp_path: Path
) -> None:
    """Four bits: codes between -7 and 7; the same values as in an extraction of one's own."""
    made = deliver(asked, evaluator, mixed, tmp_path)
    stored = load_safetensors((made.folder / "weights.safetensors").read_bytes())
    network = extract(evaluator.net, mixed, evaluator.calibrate(mixed))
    assert {k: v.dtype for k, v in stored.items()} == {k: v.dtype for k, v in network.state_dict().items()}
    assert all(torch.equal(stored[k], v) for k, v in network.state_dict().items())
    codes = next(v for k, v in stored.items() if "0/1" in k and k.endswith("codes"))
    assert codes.dtype == torch.int8
    assert codes.abs().max() <= 7


def test_the_ledger_record_of_a_delivery_is_json(
    asked: Experiment, evaluator: Evaluator, mixed: Architecture, tmp_path: Path
) -> None:
    """With digest and size of the model's file."""
    made = deliver(asked, evaluator, mixed, tmp_path)
    record = facts(made)
    assert json.loads(files.canonical_json(record)) == record
    assert record["sha256"] == files.file_digest(made.folder / "model.onnx")
    assert record["size_bytes"] == (made.folder / "model.onnx").stat().st_size
    assert record["key"] == mixed.key
    assert record["container"] == ["stages.0.1.conv"]


def test_the_same_network_is_the_same_file(
    asked: Experiment, evaluator: Evaluator, mixed: Architecture, tmp_path: Path
) -> None:
    """Byte for byte: a digest stands for it."""
    one, two = (deliver(asked, evaluator, mixed, tmp_path / name).model for name in ("a", "b"))
    assert one == two


# --- Proofs -----------------------------------------------------------------------------------------------------------


def test_differing_codes_are_found(
    asked: Experiment, evaluator: Evaluator, mixed: Architecture, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One weight code off by one: the layer is named and nothing is written."""

    def wrong(*arguments: Any) -> Any:
        network = extract(*arguments)
        layer = network.module("stages.0.1.conv")
        assert isinstance(layer, Quantized)
        layer.codes[0, 0, 0, 0] += 1
        return network

    monkeypatch.setattr(module, "extract", wrong)
    message = "stages.0.1.conv: the weight codes of supernet and extracted network differ"
    with pytest.raises(ProofFailed, match=rf"\A{re.escape(message)}\Z"):
        deliver(asked, evaluator, mixed, tmp_path / "exports")
    assert not (tmp_path / "exports").exists()


def test_a_file_that_computes_something_else_is_found(
    asked: Experiment, evaluator: Evaluator, mixed: Architecture, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its classes are rotated by one: no prediction agrees."""
    monkeypatch.setattr(module, "run_file", lambda *arguments: np.roll(run_file(*arguments), 1, axis=1))
    message = f"{mixed.key}: supernet and file differ: 0.00 % of the predictions are the same, at least 99.5 %"
    with pytest.raises(ProofFailed, match=rf"\A{re.escape(message)}"):
        deliver(asked, evaluator, mixed, tmp_path / "exports")
    assert not (tmp_path / "exports").exists()


def test_an_extracted_network_that_computes_something_else_is_found(
    asked: Experiment, evaluator: Evaluator, mixed: Architecture, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Same codes, scales of the first layer turned round: both its own outputs and those of its file differ."""

    def wrong(*arguments: Any) -> Any:
        network = extract(*arguments)
        layer = network.module("classifier")
        assert isinstance(layer, Quantized)
        layer.scale.neg_()
        return network

    monkeypatch.setattr(module, "extract", wrong)
    with pytest.raises(ProofFailed, match=r": supernet and extracted network differ: \d+\.\d\d % of the predictions"):
        deliver(asked, evaluator, mixed, tmp_path / "exports")


def test_an_integer_layer_that_runs_in_float_is_found(
    asked: Experiment, evaluator: Evaluator, mixed: Architecture, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A runtime that does not fuse (here: all of its rewriting off) computes the same, slowly."""

    def plain(count: int) -> Any:
        options = ort.SessionOptions()
        options.intra_op_num_threads = count
        options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
        return options

    monkeypatch.setattr(backend, "options", plain)
    message = (
        f"{mixed.key}: stages.0.0.conv: meant for integers, runs as Conv; stages.0.1.conv: meant for integers, runs as "
        "Conv; classifier: meant for integers, runs as Gemm"
    )
    with pytest.raises(ProofFailed, match=rf"\A{re.escape(message)}\Z"):
        deliver(asked, evaluator, mixed, tmp_path / "exports")
    assert not (tmp_path / "exports").exists()


def test_a_float_layer_that_runs_on_integers_is_found(
    asked: Experiment, evaluator: Evaluator, mixed: Architecture, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The other direction: what was searched as float must be shipped as float."""
    audit = backend.audit

    def integer_everywhere(*arguments: Any) -> Audit:
        made = audit(*arguments)
        return dataclasses.replace(made, layers=dict.fromkeys(made.layers, "QLinearConv"))

    monkeypatch.setattr(backend.OnnxRuntime, "audit", staticmethod(integer_everywhere))
    with pytest.raises(ProofFailed, match=r"stages\.1\.0\.conv: meant for floats, runs as QLinearConv\Z"):
        deliver(asked, evaluator, mixed, tmp_path / "exports")


# --- Running files ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("count", [1, 3, 4, 9])
def test_a_file_of_any_batch_size_takes_any_number_of_images(
    evaluator: Evaluator, mixed: Architecture, count: int
) -> None:
    """The last call is filled up with copies, whose outputs are dropped."""
    network = extract(evaluator.net, mixed, evaluator.calibrate(mixed))
    images = evaluator.dataset.test.images[:count].numpy()
    single, four = (run_file(export.onnx(network, batch), images, Target()) for batch in (1, 4))
    assert single.shape == four.shape == (count, 10)
    assert np.allclose(single, four, rtol=1e-4, atol=1e-4)


def test_quality_is_top1_in_percent_and_the_mean_log_likelihood() -> None:
    """By hand: two of three right; log-softmax of the label's logit."""
    logits = torch.tensor([[2.0, 0.0], [0.0, 1.0], [3.0, 3.5]])
    found = Classification().quality(logits, torch.tensor([0, 1, 0]))
    assert found.accuracy == pytest.approx(200 / 3)
    by_hand = [2 - np.log(np.exp(2) + 1), 1 - np.log(np.e + 1), 3 - np.log(np.exp(3) + np.exp(3.5))]
    assert found.log_likelihood == pytest.approx(np.mean(by_hand))


def test_evaluating_a_subnet_twice_is_the_same_number(evaluator: Evaluator, mixed: Architecture) -> None:
    """Also after another subnet was evaluated in between."""
    first = evaluator(mixed)
    evaluator(evaluator.net.space.largest)
    assert evaluator(mixed) == first
