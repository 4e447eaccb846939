"""One thread for every test here, and two small supernets trained once."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch

from supernets import Recipe, Supernet, build, train
from tests.examples import PLAIN, RESIDUAL, space_of
from tests.subnets import Kept, Toy


@pytest.fixture(autouse=True, scope="module")
def one_thread() -> Iterator[None]:
    """Small tensors are faster on one thread, and the machine may be busy."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="session", params=["plain", "residual"])
def trained(request: pytest.FixtureRequest) -> Supernet:
    """A supernet trained briefly on the toy data, in ``eval()`` mode."""
    space = space_of(PLAIN if request.param == "plain" else RESIDUAL, request.param)
    net = build(space, seed=1)
    train(net, Toy(space, steps=8), Recipe(epochs=12, learning_rate=0.02), Kept(), seed=1)
    return net
