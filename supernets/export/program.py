"""A network as a program of ``torch.export``: operations of torch and weights, run without our code."""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from spaces import INPUT
from supernets.export.traced import examples
from supernets.plain import Network


def program(network: Network, batch: int = 1) -> bytes:
    """``network`` as a file that ``torch.export.load`` reads, of ``batch`` examples per call.

    Its input and output are those of the network. Integer layers compute with their codes in floats, as the network
    does: it is a reference and a starting point for other compilers, not a fast form.
    """
    made = torch.export.export(network.eval(), example(network, batch))
    file = io.BytesIO()
    torch.export.save(made, file)
    return file.getvalue()


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
