"""The file of an exported network for any number of examples per call, beside the one that was timed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import onnx

from nas import files
from nas.deliver import ARCHITECTURE
from nas.network import load_network
from predictors.latency.backends import onnxruntime
from supernets import export

NAME = "model_any_batch.onnx"
_CALLS = (1, 3)  # of as many examples, in whole calls of the timed file
_MOST = 1e-5


def any_batch(folder: Path, model: str) -> bytes:
    """Of the network in this folder of exports, whose timed file is ``model`` there; with its metadata.

    It has been run by ONNX Runtime on one and on three times as many examples as the timed file takes, and gave the
    same. Raises ``ValueError`` for a file that is no ONNX, a network that has no such form, and outputs that differ.
    """
    if not model.endswith(".onnx"):
        raise ValueError(f"{folder / model}: a program of torch is for a fixed number of examples [not-exportable]")
    timed = (folder / model).read_bytes()
    metadata = {p.key: p.value for p in onnx.load_from_string(timed).metadata_props}
    about = files.read_json(folder / ARCHITECTURE)
    batch, *sizes = about["input_shape"]
    if "input_shape" in metadata:
        metadata["input_shape"] = json.dumps(["batch", *sizes])
    made = export.any_batch(load_network(folder), metadata)
    rng = np.random.default_rng(0)
    for calls in _CALLS:
        shape = (calls * batch, *sizes)
        tokens = about["input_type"] == "int64"
        given: Any = rng.integers(0, 2, shape) if tokens else rng.normal(size=shape).astype(np.float32)
        expected, found = (onnxruntime.evaluate(file, given) for file in (timed, made))
        if not np.abs(found - expected).max() <= _MOST * np.abs(expected).max():  # what is no number is not either
            what = f"the file for any number of examples gives other outputs for {len(given)} of them"
            raise ValueError(f"{folder}: {what} [not-proven]")
    return made
