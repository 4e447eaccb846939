"""torch itself, operator by operator (eager), on the CPU: programs of ``torch.export``, in f32 or bf16.

The file is the program, not the network rebuilt from its outline and weights: it runs without our code, and it is what
was timed. Convolutions have no operators of integers here, so they are float; a program says so when it is made.
"""

from __future__ import annotations

import io
import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, fx

from predictors.latency.backends.base import Audit, Backend, Kernel, sample
from predictors.latency.backends.products import (
    INT4PACK_MM_FOR_CPU,
    INT_MM,
    INTEGERS,
    OPERATORS,
    Form,
    Integers,
    Packed4,
    Shapes,
    forms,
    products,
)
from spaces import Space
from spaces.layers import WEIGHTED
from spaces.menu import operator_of
from supernets import export
from supernets.plain import Network

_FLOATS = {"f32": torch.float32, "bf16": torch.bfloat16}
_HELD = re.compile(r"weighted\.(.*)\.(?:weight|codes)$")
_VIEWS = frozenset({"t", "permute", "transpose"})
_CONV2D = (None, [1, 1], [0, 0], [1, 1], 1)  # bias, stride, padding, dilation, groups


class Torch(Backend):
    """Whole networks only: most of a small layer's time is its dispatch.

    Linear layers have products of few bits besides; see :mod:`predictors.latency.backends.products`.
    """

    NAME = "torch"
    FILE = "model.pt2"
    FLOATS = tuple(_FLOATS)
    MENU: ClassVar[Mapping[str, Kernel]] = {"float": Kernel("real", "float")}

    @property
    def forms(self) -> Mapping[str, Form]:
        """Of linear layers in few bits. None of E4M3: on processors its operator is a reference, 16 times slower."""
        packed = Form(INT4PACK_MM_FOR_CPU, Packed4, Shapes(outputs=16))
        return forms(self.floats, Form(INT_MM, Integers), None, packed)

    def menu(self, operator: str) -> Mapping[str, Kernel]:
        """See :class:`Backend`."""
        if operator != "linear":
            return self.MENU
        return {**self.MENU, **{name: Kernel("real", name, form.operator) for name, form in self.forms.items()}}

    def fingerprint(self) -> dict[str, str]:
        """See :class:`Backend`."""
        return {"torch": torch.__version__, "floats": self.floats}

    def check(self, space: Space) -> None:
        """See :class:`Backend`: layers have the precisions of the menu."""
        for r in space.outline.records:
            menu = self.menu(operator_of(r))
            for precision in space.precisions.get(r.path, ()):
                if precision.kernel not in menu:
                    raise export.NotExportable(
                        f"space {space.name}: {self.without_kernel(r.path, precision)} [not-exportable]\n"
                        f"  hint: precisions with kernels there: {', '.join(menu)}"
                    )

    def exported(self, network: Network, batch: int = 1, metadata: Mapping[str, str] | None = None) -> bytes:
        """See :class:`Backend`."""
        for y in network.layers:
            if y.kind in WEIGHTED and self.kernel(y) is None:
                raise export.NotExportable(self.without_kernel(y.path, y.precision))
        return self.program(network, batch, metadata)

    def program(self, network: Network, batch: int, metadata: Mapping[str, str] | None) -> bytes:
        """The file of a network of layers that have kernels."""
        return export.program(network, batch, metadata, _FLOATS[self.floats], products(network, self.forms))

    def loaded(self, model: bytes) -> Any:
        """The program of a file."""
        return torch.export.load(io.BytesIO(model))

    def module(self, loaded: Any) -> Callable[..., Tensor]:
        """What runs a program."""
        found: Callable[..., Tensor] = loaded.module()
        return found

    @contextmanager
    def running(self, threads: int) -> Iterator[None]:
        """So many threads, and no gradients. torch has one number of threads for the process: it is put back."""
        before = torch.get_num_threads()
        if before != threads:
            torch.set_num_threads(threads)
        try:
            with torch.inference_mode():
                yield
        finally:
            if before != threads:
                torch.set_num_threads(before)

    def shape_of(self, model: bytes) -> tuple[int, ...]:
        """See :class:`Backend`."""
        return tuple(_inputs(self.loaded(model))[0].shape)

    def prepared(self, model: bytes, threads: int) -> Callable[[], None]:
        """See :class:`Backend`."""
        loaded = self.loaded(model)
        module = self.module(loaded)
        inputs = [torch.from_numpy(sample(x.shape, x.cpu().numpy().dtype)).to(x.device) for x in _inputs(loaded)]

        def call() -> None:
            with self.running(threads):
                module(*inputs)

        return call

    def evaluate(self, model: bytes, images: NDArray[np.float32], threads: int = 1) -> NDArray[np.float32]:
        """See :class:`Backend`."""
        loaded = self.loaded(model)
        module, example = self.module(loaded), _inputs(loaded)[0]
        with self.running(threads):
            parts = [module(part.to(example.device)) for part in torch.split(torch.from_numpy(images), len(example))]
        return torch.cat(parts).cpu().numpy()

    def audit(
        self, model: bytes, paths: Sequence[str], threads: int = 1, after: Mapping[str, Sequence[str]] | None = None
    ) -> Audit:
        """See :class:`Backend`: what operators a program calls, and of convolutions which library torch takes."""
        loaded = self.loaded(model)
        module = loaded.module()
        seen = _Seen(module, self.floats)
        with self.running(threads):
            seen.run(*_inputs(loaded))
        return Audit(dict(Counter(seen.ran.values())), {p: seen.layers[p] for p in paths if p in seen.layers}, INTEGERS)

    def weight_bits(self, model: bytes, path: str, threads: int = 1) -> int:
        """See :class:`Backend`: of integer kernels, always 8."""
        found = self.audit(model, [path], threads)
        return 8 if found.layers.get(path) in found.integers else 0


class _Seen(fx.Interpreter):
    """Runs a graph. ``ran``: node -> operator; ``layers``: path of a layer -> operator that reads its weight."""

    def __init__(self, module: fx.GraphModule, floats: str) -> None:
        super().__init__(module)
        self._floats = floats
        self.ran: dict[str, str] = {}
        self.layers: dict[str, str] = {}

    def run_node(self, n: fx.Node) -> Any:
        """See :class:`torch.fx.Interpreter`."""
        if n.op == "call_function":
            operator, path = _operator(str(n.target), self.fetch_args_kwargs_from_env(n)[0]), weighs(n)
            if path is not None and operator not in _VIEWS:
                self.layers[path] = operator = operator if operator in OPERATORS else f"{operator} {self._floats}"
            self.ran[n.name] = operator
        return super().run_node(n)


def _operator(target: str, args: Sequence[Any]) -> str:
    if target != "aten.conv2d.default":
        return _short(target)
    given = (*args, *_CONV2D[len(args) - 2 :])  # left out: what has a default
    taken = torch._C._select_conv_backend(*given[:6], False, [0, 0], given[6])
    return f"conv2d {taken.name}"


def _short(target: str) -> str:
    return target.removeprefix("aten.").split(".")[0]


def weighs(node: fx.Node) -> str | None:
    """Path of the layer whose weight a node of a program reads."""
    for arg in node.args:
        while isinstance(arg, fx.Node) and _short(str(arg.target)) in _VIEWS:
            arg = arg.args[0]
        held = _HELD.search(str(arg.target)) if isinstance(arg, fx.Node) else None
        if held:
            return held[1].replace("/", ".")
    return None


def _inputs(loaded: Any) -> Sequence[Tensor]:
    """Examples of its inputs."""
    given: Sequence[Tensor] = loaded.example_inputs[0]
    return given
