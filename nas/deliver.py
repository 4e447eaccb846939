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
from torch import Tensor
from torch.nn import functional as F

from nas import files
from nas.data import Dataset, Quality, Split
from nas.data.tasks import Agreement, Task
from nas.evaluate import Evaluator
from nas.experiment import Experiment
from predictors.latency import Target
from predictors.latency.backends import Audit, Backend
from spaces import Architecture, Layer, stored
from spaces.outline import WEIGHTED
from supernets import Network, Quantized, export, extract

ARCHITECTURE, WEIGHTS, DATA = "architecture.json", "weights.safetensors", "data.json"
OUTLINE, PROGRAM = "outline.json", "program.pt2"
_BESIDES = 1_000  # training examples in the proof


class ProofFailed(RuntimeError):
    """Supernet, extracted network and exported file are not the same function; the message says where."""


@dataclass(frozen=True)
class Delivered:
    """An exported network. ``folder`` holds its files; ``validation`` its quality in the supernet."""

    architecture: Architecture
    folder: Path
    model: bytes
    validation: Quality
    audit: Audit
    backend: Backend
    layers: tuple[Layer, ...]
    agreement: Agreement

    @property
    def simulated(self) -> list[str]:
        """Layers whose precision has no kernel on the device."""
        return [y.path for y in self.layers if y.kind in WEIGHTED and self.backend.kernel(y) is None]

    @property
    def container(self) -> list[str]:
        """Layers stored in few bits that run on the kernel of more bits."""
        kernels = {y.path: self.backend.kernel(y) for y in self.layers if y.kind in WEIGHTED}
        return [path for path, kernel in kernels.items() if kernel is not None and kernel.form == "container"]


def deliver(asked: Experiment, evaluate: Evaluator, architecture: Architecture, exports: Path) -> Delivered:
    """Write ``exports/<key>/`` with all that a network is, after the proof that its forms agree.

    Raises:
        ProofFailed: codes differ, too few predictions agree, or a layer runs on another kernel than intended.
    """
    target = asked.device.target()
    backend, calibration = target.runtime, evaluate.calibrate(architecture)
    network = extract(evaluate.net, architecture, calibration)
    interface = evaluate.dataset.interface(asked.device.batch)
    if len(interface["input_shape"]) == 4:
        interface["input_shape"] = [asked.device.batch, *network.input_shape]
    metadata = {name: json.dumps(value) for name, value in interface.items()}
    model = backend.exported(network, asked.device.batch, metadata)
    _same_codes(evaluate, architecture, network)
    examples = _examples(evaluate.dataset)
    in_supernet = evaluate.logits(architecture, examples, calibration)
    with torch.no_grad():
        extracted = torch.cat([network(part) for part in torch.split(examples.images, evaluate.chunk(architecture))])
    from_file = torch.from_numpy(run_file(model, examples.images.numpy(), target))
    task = evaluate.dataset.task
    agreement = _agreement(architecture, task, in_supernet, (extracted, from_file), examples.labels)
    audit = _audited(architecture, network, model, target)
    program = _program(network, examples, asked.device.batch) if asked.program else None
    folder = exports / architecture.key
    files.write_atomic(folder / backend.FILE, model)
    if program is not None:
        files.write_atomic(folder / PROGRAM, program)
    about = {"key": architecture.key, "architecture": dict(architecture), **interface}
    files.write_json(folder / ARCHITECTURE, about, indent=2)
    files.write_atomic(folder / WEIGHTS, save({k: v.contiguous() for k, v in network.state_dict().items()}))
    files.write_json(folder / OUTLINE, stored.to_json(asked.space))
    files.write_json(folder / DATA, dict(evaluate.dataset.about), indent=2)
    split = evaluate.dataset.validation
    validation = task.quality(in_supernet[: len(split)], split.labels)
    return Delivered(architecture, folder, model, validation, audit, backend, network.layers, agreement)


def run_file(model: bytes, images: NDArray[np.float32], target: Target) -> NDArray[np.float32]:
    """Outputs (n, ...) of an exported model for any number of examples; its batch size is filled up with copies."""
    backend = target.runtime
    batch, *sizes = backend.shape_of(model)
    images = resized(images, (batch, *sizes))
    missing = -len(images) % batch
    filled = np.concatenate([images, images[:1].repeat(missing, axis=0)]) if missing else images
    return backend.evaluate(model, filled, target.threads)[: len(images)]


def resized(images: NDArray[np.float32], shape: Sequence[int]) -> NDArray[np.float32]:
    """Pictures (n, c, h, w) in the size that a model of this input takes, as the supernet brings them to it."""
    if images.ndim != 4 or images.shape[2:] == tuple(shape[2:]):
        return images
    return F.interpolate(torch.from_numpy(images), tuple(shape[2:]), mode="bilinear").numpy()


@torch.no_grad()
def _same_codes(evaluate: Evaluator, architecture: Architecture, network: Network) -> None:
    routing = evaluate.net.routing(architecture)
    for layer in network.layers:
        module = network.module(layer.path) if layer.kind in WEIGHTED else None
        if isinstance(module, Quantized):
            codes = evaluate.net.weighted(layer.path).codes(layer, routing.get(layer.path)).codes
            if not torch.equal(codes.to(torch.int8), module.codes):
                raise ProofFailed(f"{layer.path}: the weight codes of supernet and extracted network differ")


def _examples(dataset: Dataset) -> Split:
    """The validation split, and some of the training examples besides."""
    validation, train = dataset.validation, dataset.train
    return Split(
        torch.cat([validation.images, train.images[:_BESIDES]]), torch.cat([validation.labels, train.labels[:_BESIDES]])
    )


def _agreement(
    architecture: Architecture, task: Task, supernet: Tensor, others: Sequence[Tensor], targets: Tensor
) -> Agreement:
    """Of the file with the supernet. Raises :class:`ProofFailed` where extracted network or file differ from it."""
    found = [task.agreement(supernet, other, targets) for other in others]
    for name, agreement in zip(("extracted network", "file"), found, strict=True):
        if not agreement.kept:
            raise ProofFailed(f"{architecture.key}: supernet and {name} differ: {agreement.said}")
    return found[1]


def _program(network: Network, examples: Split, batch: int) -> bytes:
    """As a program of torch. Raises :class:`ProofFailed` where it does not give what the network gives."""
    made = export.program(network, batch)
    images = torch.from_numpy(resized(examples.images[:batch].numpy(), (batch, *network.input_shape)))
    with torch.no_grad():
        if not torch.allclose(export.loaded(made)(images), network(images), rtol=1e-4, atol=1e-5):
            raise ProofFailed("the program of torch.export and the extracted network differ")
    return made


def _audited(architecture: Architecture, network: Network, model: bytes, target: Target) -> Audit:
    audit, wrong = target.runtime.audited(model, network.layers, target.threads)
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
        "computing": sorted(set(delivered.audit.layers.values())),
        "container": delivered.container,
        "simulated": delivered.simulated,
        "agreement": {"value": delivered.agreement.value, "said": delivered.agreement.said},
    }
