"""torch's compiler, inductor, on the CPU: programs of ``torch.export`` whose integer layers it fuses into onednn's.

It writes and compiles C++ for what it does not leave to onednn, into torch's own cache folder, and takes seconds for
each network. A program stores weights of fewer than 8 bits in 8, so these precisions are not on its menu. Floats are
f32: layers of integers among others in bf16 have not been tried.
"""

from __future__ import annotations

import shutil
import warnings
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from functools import partial
from typing import Any, ClassVar

import torch
from torch import fx

from predictors.latency.backends.base import Audit, Kernel, NoBackend
from predictors.latency.backends.products import INTEGERS, OPERATORS, Form
from predictors.latency.backends.torch import Torch, weighs
from supernets import export
from supernets.export.decomposed import decomposed
from supernets.plain import Network

with warnings.catch_warnings():  # of what torch's own modules import
    warnings.simplefilter("ignore", DeprecationWarning)
    from torch._inductor import compile_fx, config

assert compile_fx
_INTEGER = INTEGERS | {
    "quantized_conv", "quantized_conv_binary", "quantized_linear_unary", "quantized_linear_binary",
}  # fmt: skip
_FLOAT = frozenset({"convolution", "_convolution_pointwise", "_linear_pointwise", "_mkl_linear", "addmm", "mm"})
_KINDS = ("unary", "binary", "binary_unary", "binary_unary_maybe_inplace", "leaky_relu", "hardtanh")
_FUSED = frozenset(f"{kind}_fusion" for kind in _KINDS)
_COMPUTING = _INTEGER | _FLOAT | _FUSED | OPERATORS
_WEIGHING = OPERATORS | {"conv1d", "conv2d", "linear", "dequantize_per_channel"}  # operators of a program


class Inductor(Torch):
    """Frozen weights, so that they are packed once."""

    NAME = "inductor"
    FLOATS: ClassVar[tuple[str, ...]] = ("f32",)
    MENU: ClassVar[Mapping[str, Kernel]] = {**Torch.MENU, "w8a8": Kernel("real", "w8a8")}

    def __init__(self, floats: str = "f32") -> None:
        if shutil.which("g++") is None:
            raise NoBackend("backend inductor compiles C++ and finds no g++ [missing-compiler]\n  hint: install g++")
        super().__init__(floats)

    @property
    def forms(self) -> Mapping[str, Form]:
        """See :class:`Torch`: none, the compiler makes products of integers of its own."""
        return {}

    def program(self, network: Network, batch: int, metadata: Mapping[str, str] | None) -> bytes:
        """See :class:`Torch`."""
        return export.program(decomposed(network), batch, metadata)

    def module(self, loaded: Any) -> Callable[..., torch.Tensor]:
        """Compiled, which its first call does."""
        return _compiled(loaded)

    def audit(
        self, model: bytes, paths: Sequence[str], threads: int = 1, after: Mapping[str, Sequence[str]] | None = None
    ) -> Audit:
        """See :class:`Backend`.

        Compiled nodes have lost the names of our layers, but keep their order: layers are told by their places, and
        none is if there are more or fewer nodes that compute than layers.
        """
        loaded, seen = self.loaded(model), list[str]()
        program = loaded.module()
        with self.running(threads):
            _compiled(loaded, seen)(*loaded.example_inputs[0])
        computing = [op for op in seen if op in _COMPUTING]
        weighing = [node for node in program.graph.nodes if _operation(node) in _WEIGHING]
        weighted = [path for path in map(weighs, weighing) if path is not None]
        layers = dict(zip(weighted, computing, strict=True)) if len(weighted) == len(computing) else {}
        layers = {path: op for path, op in layers.items() if path in paths}
        return Audit(dict(Counter(seen)), layers, _INTEGER)


def _compiled(loaded: Any, seen: list[str] | None = None) -> Callable[..., torch.Tensor]:
    """The compiled program; its first call compiles, and adds to ``seen`` the operations that are left then.

    Only where they are asked for: torch keeps no graph that it shows to others, and compiles it anew.
    """
    compiled: Callable[..., torch.Tensor] = torch.compile(loaded.module())
    left = [_compiling(seen)]

    def call(*inputs: torch.Tensor) -> torch.Tensor:
        with left.pop() if left else nullcontext():
            return compiled(*inputs)

    return call


@contextmanager
def _compiling(seen: list[str] | None) -> Iterator[None]:
    def note(graph: fx.Graph) -> None:
        assert seen is not None
        seen.extend(_operation(node) for node in graph.nodes if node.op == "call_function")

    asked = config.patch(freezing=True, post_grad_custom_post_pass=note if seen is not None else None)
    with asked, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # those of torch's own code
        yield


def _operation(node: fx.Node) -> str:
    """Its name; what was fused is known by what lowers it."""
    if isinstance(node.target, partial):
        return node.target.func.__qualname__.split(".")[0].removeprefix("_register_").removesuffix("_lowering")
    return str(getattr(node.target, "__name__", node.target)).split(".")[0]
