"""Runtimes that networks are timed on, a file each, by name; none is loaded before it is asked for."""

from __future__ import annotations

from importlib import import_module
from typing import cast

from predictors.latency.backends.base import Audit, Backend, Kernel, NoBackend
from spaces.yaml import nearest

BACKENDS = {
    "onnxruntime": "onnxruntime:OnnxRuntime",
    "openvino": "openvino:OpenVino",
    "torch": "torch:Torch",
    "inductor": "inductor:Inductor",
    "cuda": "cuda:Cuda",
    "cuda_inductor": "cuda:CudaInductor",
}
"""Name -> file and class."""
EXTRAS = {"openvino": "openvino"}
"""Package -> extra that installs it."""


def backend(name: str, floats: str = "f32") -> Backend:
    """The backend of this name whose float layers compute in ``floats``. Raises :class:`NoBackend`."""
    if name not in BACKENDS:
        near = nearest(name, BACKENDS)
        hint = f"did you mean '{near}'?" if near else f"known: {', '.join(BACKENDS)}"
        raise NoBackend(f"no backend is named '{name}' [unknown-value]\n  hint: {hint}")
    module, kind = BACKENDS[name].split(":")
    try:
        found = cast(type[Backend], getattr(import_module(f"predictors.latency.backends.{module}"), kind))
    except ModuleNotFoundError as error:
        if error.name not in EXTRAS:
            raise
        what = f"backend {name} needs the package {error.name}, which is not installed [missing-extra]"
        raise NoBackend(f"{what}\n  hint: pip install 'nas[{EXTRAS[error.name]}]'") from error
    if floats not in found.FLOATS:
        said = " or ".join(found.FLOATS)
        raise NoBackend(f"backend {name} computes floats in {said}, not in '{floats}' [unknown-value]")
    return found(floats)


__all__ = ["BACKENDS", "EXTRAS", "Audit", "Backend", "Kernel", "NoBackend", "backend"]
