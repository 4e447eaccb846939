"""Every space of the zoo, made small, as ONNX files: the same function, on the kernels that are meant."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F
from torch.testing import assert_close

from predictors.latency.backends import onnxruntime as backend
from spaces.randomness import generator
from supernets import Network, export, extract
from tests.examples import with_precision
from tests.small import EVERY_EXPORTED, elastic_in_precision, inputs, small
from tests.subnets import randomised

EVERY = pytest.mark.parametrize("name", EVERY_EXPORTED)
BATCH = 4


def networks(name: str) -> list[tuple[Network, Tensor]]:
    """Extracted networks, all float, all of 8 bits, and mixed, each with inputs."""
    space = elastic_in_precision(name)
    net, found = randomised(space), []
    drawn = space.sample_many(4, generator(0, "test"), by_choice=True)
    for i, a in enumerate(drawn):
        architecture = with_precision(space, a, ("float", "w8a8")[i]) if i < 2 else a
        x = inputs(space, 16)
        found.append((extract(net, architecture, net.calibrate(architecture, [x])), x[:BATCH]))
    return found


def from_file(plain: Network, model: bytes, x: Tensor) -> Tensor:
    """What the file makes of the inputs, which it wants in the network's own size."""
    if x.dim() == 4 and x.shape[2:] != plain.input_shape[1:]:
        x = F.interpolate(x, plain.input_shape[1:], mode="bilinear")
    return torch.from_numpy(backend.evaluate(model, x.numpy()))


@EVERY
def test_a_file_is_the_network_on_the_kernels_that_are_meant(name: str) -> None:
    """Floats within rounding; of integers, where a step may fall to the other side, nearly all outputs."""
    for plain, x in networks(name):
        model = export.onnx(plain, BATCH)
        with torch.no_grad():
            wanted = plain(x)
        found = from_file(plain, model, x)
        assert found.shape == wanted.shape
        if not any(y.runs8 for y in plain.layers):
            assert_close(found, wanted, rtol=1e-3, atol=2e-4 * float(wanted.abs().max()))
        else:
            assert float((found - wanted).abs().mean()) <= 0.1 * float(wanted.std())
        assert backend.OnnxRuntime().audited(model, plain.layers)[1] == []


def test_a_network_of_another_resolution_takes_pictures_of_its_own_size() -> None:
    """A file does not resize: what it is given is what was timed."""
    space = small("ofa_mobilenetv3")
    architecture = space.complete({"resolution": 12}, generator(0, "test"))
    net = randomised(space)
    plain = extract(net, architecture, net.calibrate(architecture, [inputs(space, 8)]))
    session = backend.session(export.onnx(plain))
    assert session.get_inputs()[0].shape == [1, 3, 12, 12]
