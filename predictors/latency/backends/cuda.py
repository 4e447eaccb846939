"""torch on one of NVIDIA's GPUs, operator by operator or compiled by inductor, floats in f32 or bf16.

The file is the one that :mod:`predictors.latency.backends.torch` writes, and can be read where there is no GPU; it is
moved when it is loaded. f32 is f32: torch would let convolutions compute in TF32. Linear
layers have products of few bits, of those that the GPU knows: E4M3 from compute capability 8.9 on, packed weights of
four bits from 8.0 on.

A call is over when the GPU is; inputs lie on it beforehand.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, ClassVar

import torch
from torch.export.passes import move_to_device_pass

from predictors.latency.backends.base import Call, Clock, Kernel, NoBackend
from predictors.latency.backends.inductor import Inductor
from predictors.latency.backends.products import (
    INT4PACK_MM,
    INT_MM,
    SCALED_MM,
    Floats8,
    Form,
    Integers,
    Packed4OnGpu,
    Shapes,
    forms,
)
from predictors.latency.backends.torch import Torch
from supernets.plain import Network


class _OnGpu(Torch):
    """What eager and compiled programs have in common there."""

    DEVICE: ClassVar[str] = "cuda"

    def __init__(self, floats: str = "f32") -> None:
        if not torch.cuda.is_available():
            what = f"backend {self.NAME} finds no GPU that torch can use here [missing-device]"
            raise NoBackend(f"{what}\n  hint: backend: torch computes on the processor")
        super().__init__(floats)

    @property
    def forms(self) -> Mapping[str, Form]:
        """See :class:`Torch`."""
        capability = torch.cuda.get_device_capability(0)
        floats8 = Form(SCALED_MM, Floats8, Shapes(inputs=16, outputs=16)) if capability >= (8, 9) else None
        packed4 = Form(INT4PACK_MM, Packed4OnGpu, Shapes(outputs=8)) if capability >= (8, 0) else None
        integers = Form(INT_MM, Integers, Shapes(rows=32, inputs=8, outputs=8))
        return forms(self.floats, integers, floats8, packed4)

    def fingerprint(self) -> dict[str, str]:
        """See :class:`Backend`."""
        found = torch.cuda.get_device_properties(0)
        gpu = {"gpu": found.name, "capability": f"{found.major}.{found.minor}", "cuda": str(torch.version.cuda)}
        return {**super().fingerprint(), **gpu}

    def clock(self, threads: int) -> Clock:
        """See :class:`Backend`: the thread that calls does not compute."""
        return time.perf_counter

    def loaded(self, model: bytes) -> Any:
        """See :class:`Torch`."""
        return move_to_device_pass(super().loaded(model), self.DEVICE)

    def prepared(self, model: bytes, threads: int) -> Call:
        """See :class:`Backend`."""
        begun = super().prepared(model, threads)

        def call() -> None:
            begun()
            torch.cuda.synchronize()

        return call

    @contextmanager
    def running(self, threads: int) -> Iterator[None]:
        """See :class:`Torch`; without TF32."""
        with super().running(threads), torch.backends.cudnn.flags(enabled=True, allow_tf32=False):
            yield


class Cuda(_OnGpu):
    """Operator by operator."""

    NAME = "cuda"


class CudaInductor(_OnGpu, Inductor):
    """Compiled; what is left to libraries are convolutions and products of matrices."""

    NAME = "cuda_inductor"
    FLOATS = Torch.FLOATS
    MENU: ClassVar[Mapping[str, Kernel]] = Torch.MENU

    def program(self, network: Network, batch: int, metadata: Mapping[str, str] | None) -> bytes:
        """See :class:`Torch`: its products are what is left to libraries."""
        return Torch.program(self, network, batch, metadata)
