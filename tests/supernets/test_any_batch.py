"""Files for any number of examples per call: what they give is what files for that number give."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from torch import nn

from predictors.latency.backends import onnxruntime as backend
from predictors.latency.called_probe import random_network
from spaces import Space
from supernets import Network, export, wrap
from supernets.export import NotExportable
from tests.examples import space_of
from tests.predictors.networks import CHAIN, RESIDUAL, VIT
from tests.supernets.wrapping.models import MODELS, made, parts_of_encoders

BLOCK = "w4-group32/a8-symmetric-group32"
FAMILIES = {"chain": CHAIN, "residual": RESIDUAL, "vit": VIT.format(f"w8a8, {BLOCK}")}


@pytest.fixture(autouse=True, scope="module")
def by_parts() -> Iterator[None]:
    """As other tests of wrapped models run."""
    with parts_of_encoders():
        yield


def largest(space: Space, precision: str) -> Network:
    """With random weights."""
    outline = space.outline
    return random_network(outline.layers(space.extreme(max, precision)), outline.takes, outline.input_shape)


def check(network: Network) -> onnx.ModelProto:
    """One, four and five examples, of all inputs; the name of the free size."""
    free = export.any_batch(network, {"made": "here"})
    session = backend.session(free)
    assert {size for i in session.get_inputs() for size in i.shape if isinstance(size, str)} == {"batch"}
    for size in (1, 4, 5):
        fixed = backend.session(export.onnx(network, size))
        rng = np.random.default_rng(size)
        given: dict[str, Any] = {
            i.name: rng.integers(0, 4, i.shape) if "int" in i.type else rng.normal(size=i.shape).astype(np.float32)
            for i in fixed.get_inputs()
        }
        for mine, other in zip(session.run(None, given), fixed.run(None, given), strict=True):
            assert mine.shape == other.shape
            assert np.abs(mine - other).max() <= 1e-5 * np.abs(other).max()
    model = onnx.load_from_string(free)
    assert {p.key: p.value for p in model.metadata_props} == {"made": "here"}
    return model


@pytest.mark.parametrize("precision", ["float", "w8a8", BLOCK])
@pytest.mark.parametrize("name", FAMILIES)
def test_families(name: str, precision: str) -> None:
    """Pictures, tokens and vectors; constants that stand once for each example, such as class tokens."""
    model = check(largest(space_of(FAMILIES[name]), precision))
    read = {name for node in model.graph.node for name in node.input}
    assert {i.name for i in model.graph.initializer} <= read


@pytest.mark.parametrize("name", sorted(MODELS))
def test_wrapped_models(name: str) -> None:
    """Several inputs and outputs, sizes that are computed, masks, tokens."""
    module, inputs = made(name)
    check(largest(wrap(module, inputs).space, "w8a8"))


def test_what_depends_on_the_number_of_examples_in_another_way_is_refused_by_name() -> None:
    """Factors that are the numbers of the examples are other constants for each size."""

    class Apart(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.a = nn.Linear(6, 4)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            made: torch.Tensor = self.a(x) * torch.arange(x.shape[0])[:, None]
            return made

    network = largest(wrap(Apart().eval(), torch.randn(2, 6), {"width": [1]}).space, "float")
    said = "mul: Mul depends on the number of examples per call in a way that no file has"
    with pytest.raises(NotExportable, match=rf"\A{re.escape(said)}\Z"):
        export.any_batch(network)
