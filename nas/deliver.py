"""From a subnet to files that prove themselves: extract, export, compare the three forms, audit the kernels."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import save

from nas import files
from nas.data import Quality, Split
from nas.evaluate import Evaluator
from nas.experiment import Experiment
from predictors.latency.backends import onnxruntime as backend
from spaces import Architecture, Layer
from spaces.outline import WEIGHTED
from supernets import Network, Quantized, export, extract

MODEL, ARCHITECTURE, WEIGHTS, DATA = "model.onnx", "architecture.json", "weights.safetensors", "data.json"
AGREEMENT = 0.995


class ProofFailed(RuntimeError):
    """Supernet, extracted network and exported file are not the same function; the message says where."""


@dataclass(frozen=True)
class Delivered:
    """An exported network. ``folder`` holds its files; ``validation`` its quality in the supernet."""

    architecture: Architecture
    folder: Path
    model: bytes
    validation: Quality
    audit: backend.Audit
    layers: tuple[Layer, ...]
    top1_agreement: float

    @property
    def simulated(self) -> list[str]:
        """Layers whose precision has no kernel on the device."""
        return [y.path for y in self.layers if y.kind in WEIGHTED and backend.kernel(y.precision) is None]

    @property
    def container(self) -> list[str]:
        """Layers stored in few bits that run on the kernel of more bits."""
        kernels = {y.path: backend.kernel(y.precision) for y in self.layers if y.kind in WEIGHTED}
        return [path for path, kernel in kernels.items() if kernel is not None and kernel.form == "container"]


def deliver(asked: Experiment, evaluate: Evaluator, architecture: Architecture, exports: Path) -> Delivered:
    """Write ``exports/<key>/`` with model, architecture, weights, facts of the data, after the proof that they agree.

    Raises:
        ProofFailed: codes differ, too few predictions agree, or a layer runs on another kernel than intended.
    """
    calibration = evaluate.calibrate(architecture)
    network = extract(evaluate.net, architecture, calibration)
    interface = evaluate.dataset.interface(asked.device.batch)
    metadata = {name: json.dumps(value) for name, value in interface.items()}
    model = export.onnx(network, asked.device.batch, metadata)
    _same_codes(evaluate, network)
    split = evaluate.dataset.validation
    images = torch.cat([split.images, evaluate.dataset.train.images[:1_000]])
    in_supernet = evaluate.logits(architecture, Split(images, torch.zeros(len(images))), calibration)
    with torch.no_grad():
        extracted = network(images)
    from_file = torch.from_numpy(run_file(model, images.numpy(), asked.device.threads))
    agreement = _agreement(architecture, [in_supernet, extracted, from_file])
    audit = _audited(architecture, network, model, asked.device.threads)
    folder = exports / architecture.key
    files.write_atomic(folder / MODEL, model)
    about = {"key": architecture.key, "architecture": dict(architecture), **interface}
    files.write_json(folder / ARCHITECTURE, about, indent=2)
    files.write_atomic(folder / WEIGHTS, save({k: v.contiguous() for k, v in network.state_dict().items()}))
    files.write_json(folder / DATA, dict(evaluate.dataset.about), indent=2)
    validation = evaluate.dataset.task.quality(in_supernet[: len(split)], split.labels)
    return Delivered(architecture, folder, model, validation, audit, network.layers, agreement)


def run_file(model: bytes, images: NDArray[np.float32], threads: int) -> NDArray[np.float32]:
    """Outputs (n, classes) of an exported model for any number of images; its batch size is filled up with copies."""
    batch = backend.batch_of(model)
    missing = -len(images) % batch
    filled = np.concatenate([images, images[:1].repeat(missing, axis=0)]) if missing else images
    return backend.evaluate(model, filled, threads)[: len(images)]


def _same_codes(evaluate: Evaluator, network: Network) -> None:
    for layer in network.layers:
        module = network.module(layer.path) if layer.kind in WEIGHTED else None
        if isinstance(module, Quantized):
            codes = evaluate.net.weighted(layer.path).codes(layer).codes
            if not torch.equal(codes.to(torch.int8), module.codes):
                raise ProofFailed(f"{layer.path}: the weight codes of supernet and extracted network differ")


def _agreement(architecture: Architecture, forms: Sequence[torch.Tensor]) -> float:
    top = [form.argmax(dim=1) for form in forms]
    shares = [float((top[0] == other).double().mean()) for other in top[1:]]
    if min(shares) < AGREEMENT:
        raise ProofFailed(
            f"{architecture.key}: predictions agree in {100 * shares[0]:.2f} % (extracted) and "
            f"{100 * shares[1]:.2f} % (file) of the images, at least {100 * AGREEMENT} % are needed"
        )
    return min(shares)


def _audited(architecture: Architecture, network: Network, model: bytes, threads: int) -> backend.Audit:
    audit, wrong = backend.audited(model, network.layers, threads)
    if wrong:
        raise ProofFailed(f"{architecture.key}: " + "; ".join(wrong))
    return audit


def facts(delivered: Delivered) -> dict[str, Any]:
    """What the ledger keeps of an export."""
    return {
        "key": delivered.architecture.key,
        "architecture": dict(delivered.architecture),
        "sha256": files.sha256(delivered.model),
        "size_bytes": len(delivered.model),
        "accuracy": delivered.validation.accuracy,
        "log_likelihood": delivered.validation.log_likelihood,
        "kernels": delivered.audit.kernels,
        "container": delivered.container,
        "simulated": delivered.simulated,
        "top1_agreement": delivered.top1_agreement,
    }
