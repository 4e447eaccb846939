"""A network as a program of ``torch.export``: operations of torch and weights, run without our code."""

from __future__ import annotations

import copy
import io
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from spaces import INPUT
from supernets.export.calls import NotExportable
from supernets.export.traced import examples
from supernets.plain import Network


def program(
    network: Network, batch: int = 1, metadata: Mapping[str, str] | None = None, floats: torch.dtype = torch.float32,
    instead: Mapping[str, nn.Module] | None = None,
) -> bytes:  # fmt: skip
    """``network`` as a file that ``torch.export.load`` reads, of ``batch`` examples per call.

    Its input and output are those of the network. Integer layers compute with their codes in floats, as the network
    does: it is a reference and a starting point for other compilers, not a fast form. ``metadata`` are its extra
    files. With ``floats`` a float network holds and computes everything in this type but what goes in and comes out.
    Raises :class:`NotExportable` for a quantized layer then, whose scales would be rounded. ``instead``: path of a
    layer -> what computes it, in types of its own.
    """
    instead = instead or {}
    changed = instead or floats != torch.float32 or any(m.training for m in network.modules())
    made = copy.deepcopy(network).eval() if changed else network
    if floats != torch.float32:
        for y in network.layers:
            if y.precision.quantized and y.path not in instead:
                raise NotExportable(f"{y.path}: precision {y.precision.name} cannot be held in {floats}")
        made = made.to(floats)
    for path, module in instead.items():
        made.replace(path, module)
    whole = made if floats == torch.float32 else _Cast(made, floats)
    exported = torch.export.export(whole, example(network, batch))
    file = io.BytesIO()
    torch.export.save(exported, file, extra_files=dict(metadata or {}))
    return file.getvalue()


class _Cast(nn.Module):
    """A network in another type of floats, whose inputs and outputs are f32."""

    def __init__(self, network: Network, floats: torch.dtype) -> None:
        super().__init__()
        self.network, self._floats = network, floats

    def forward(self, *inputs: Tensor) -> Tensor:
        given = [x.to(self._floats) if x.is_floating_point() else x for x in inputs]
        y: Tensor = self.network(*given)
        return y.to(torch.float32)


def loaded(data: bytes) -> Callable[..., Tensor]:
    """What :func:`program` made, to be called."""
    return torch.export.load(io.BytesIO(data)).module()


def example(network: Network, batch: int) -> tuple[Tensor, ...]:
    """Zeros as the network reads them: pictures, or numbers of tokens; of a traced one what it was traced with."""
    if network.takes:
        return tuple(examples(network, batch))
    c, h, w = network.input_shape
    kinds = {y.kind for y in network.layers if INPUT in y.inputs}
    if kinds <= {"embedding", "channel"}:
        shape: Any = (batch, h) if c == 1 else (batch, c, h)
        return (torch.zeros(shape, dtype=torch.int64),)
    return (torch.zeros(batch, c, h, w),)
