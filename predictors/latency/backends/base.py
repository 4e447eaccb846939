"""What a backend is: a runtime that loads exported networks, to time them and to see what it runs."""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from spaces import Layer, Space
from spaces.layers import WEIGHTED
from spaces.menu import OPERATORS, operator_of
from spaces.precision import Precision
from supernets import export
from supernets.graph import live
from supernets.plain import Network

Call = Callable[[], None]
Clock = Callable[[], float]
_FUNCTIONS = ("activation", "batch_norm", "call")


class NoBackend(ValueError):
    """A backend that is not known, not installed, or does not compute floats as asked; the message says what to do."""


@dataclass(frozen=True)
class Kernel:
    """How the device runs a precision: ``real`` on a kernel of its own, ``container`` stored small, run as another.

    ``operator``: the only one that an audit may find there, where it is known.
    """

    form: str
    executed_as: str
    operator: str = ""


@dataclass(frozen=True)
class Audit:
    """What runs. ``kernels``: how many of each type; ``layers``: path -> the type that runs it; ``integers``: types
    that compute with integers."""

    kernels: dict[str, int]
    layers: dict[str, str]
    integers: frozenset[str]

    def unintended(self, integer: Mapping[str, bool]) -> list[str]:
        """What differs from the intention ``path -> runs on integers``, in words; empty if nothing does."""
        found = []
        for path, wanted in integer.items():
            op = self.layers.get(path)
            if op is None:
                found.append(f"{path}: no kernel found")
            elif wanted != (op in self.integers):
                found.append(f"{path}: meant for {'integers' if wanted else 'floats'}, runs as {op}")
        return found


class Backend(ABC):
    """A runtime on this device. A new one is a file beside this one and a line in ``BACKENDS``.

    ``floats``: the type that float layers compute in, one of ``FLOATS``. ``MENU``: precision -> kernel, where all
    operators have the same. ``ADDITIVE``: whether a network takes about what its layers take alone; where not,
    only whole networks are timed. ``FILE``: the name of an exported network. ``model`` is such a file throughout.
    """

    NAME: ClassVar[str]
    FILE: ClassVar[str] = "model.onnx"
    FLOATS: ClassVar[tuple[str, ...]] = ("f32",)
    MENU: ClassVar[Mapping[str, Kernel]]
    ADDITIVE: ClassVar[bool] = False

    def __init__(self, floats: str = "f32") -> None:
        self.floats = floats

    @abstractmethod
    def fingerprint(self) -> dict[str, str]:
        """Versions and settings that times depend on."""

    def clock(self, threads: int) -> Clock:
        """By which calls are timed, in seconds: one thread computes on the calling thread."""
        return time.thread_time if threads == 1 else time.perf_counter

    def check(self, space: Space) -> None:
        """Whether every network of the space has a file here. Raises :class:`NotExportable` naming the first layer."""
        export.check(space)

    @abstractmethod
    def exported(self, network: Network, batch: int = 1, metadata: Mapping[str, str] | None = None) -> bytes:
        """The file of a network, for ``batch`` examples per call. Raises :class:`NotExportable`."""

    @abstractmethod
    def shape_of(self, model: bytes) -> tuple[int, ...]:
        """Of its input, examples per call first."""

    @abstractmethod
    def prepared(self, model: bytes, threads: int) -> Call:
        """One inference on fixed random input as a call, in a fresh session."""

    @abstractmethod
    def evaluate(self, model: bytes, images: NDArray[np.float32], threads: int) -> NDArray[np.float32]:
        """Outputs (n, ...) for ``images`` (n, ...); n a multiple of the examples per call."""

    @abstractmethod
    def audit(
        self, model: bytes, paths: Sequence[str], threads: int, after: Mapping[str, Sequence[str]] | None = None
    ) -> Audit:
        """The executed kernels, and which of them runs the layer of each path.

        ``after``: path -> layers that read it, activation functions and scales, whose names a kernel has that computes
        them as well.
        """

    @abstractmethod
    def weight_bits(self, model: bytes, path: str, threads: int) -> int:
        """Bits of each weight of an integer layer as its kernel reads it; 0 if no kernel is found."""

    def menu(self, operator: str) -> Mapping[str, Kernel]:
        """Precision -> kernel, for layers of one of the operators of :mod:`spaces.menu`."""
        return self.MENU

    def kernel(self, layer: Layer) -> Kernel | None:
        """How it runs a layer with weights; ``None``: it cannot, and whoever computes it simulates."""
        return self.menu(operator_of(layer)).get(layer.precision.kernel)

    def without_kernel(self, path: str, precision: Precision) -> str:
        """What is said of a layer that it cannot run."""
        return f"{path}: backend {self.NAME} has no kernel for precision {precision.name}"

    def audited(self, model: bytes, layers: Sequence[Layer], threads: int = 1) -> tuple[Audit, list[str]]:
        """The audit of a network's layers with weights, and what of it is unintended."""
        needed = live(layers)
        weighted = [y for y in layers if y.kind in WEIGHTED and y.path in needed]
        functions = [y for y in layers if y.kind in _FUNCTIONS]
        after = {y.path: [f.path for f in functions if y.path in f.inputs] for y in weighted}
        found = self.audit(model, [y.path for y in weighted], threads, after)
        special = {kernel.operator for operator in OPERATORS for kernel in self.menu(operator).values()}
        wrong, others = list[str](), dict[str, bool]()
        for y in weighted:
            kernel, ran = self.kernel(y), found.layers.get(y.path, "nothing")
            meant = kernel.operator if kernel is not None else ""
            if not meant and ran not in special:
                others[y.path] = y.runs8
            elif ran != meant:
                wrong.append(f"{y.path}: meant for {meant or ('integers' if y.runs8 else 'floats')}, runs as {ran}")
        return found, found.unintended(others) + wrong


def sample(shape: Sequence[int], dtype: Any) -> NDArray[Any]:
    """The fixed input that calls are timed with: noise, all codes, or a token that every vocabulary has."""
    rng = np.random.default_rng(0)
    if dtype == np.uint8:
        return rng.integers(0, 256, tuple(shape)).astype(np.uint8)
    if dtype == np.int64:
        return np.zeros(tuple(shape), np.int64)
    return rng.normal(size=tuple(shape)).astype(np.float32)
