"""Where and in what training computes: bfloat16, a GPU, several processes."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, distributed, multiprocessing

from spaces import Space
from supernets import NotTrainable, Recipe, Supernet, build, train
from supernets.quantization.kernels import EAGER
from supernets.training import SCHEMES, Setting, parallel
from tests.examples import PLAIN, mobile, space_of
from tests.small import inputs, small
from tests.subnets import Kept, Toy

SPACE = space_of(PLAIN)
GPU = pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU that torch can use")


class Words:
    """One batch of token numbers, and the tokens after them."""

    loss, steps = "cross_entropy", 2

    def __init__(self, space: Space) -> None:
        self.space = space

    def epoch(self, number: int) -> Iterator[tuple[Tensor, Tensor]]:
        """See :class:`supernets.Batches`."""
        for step in range(self.steps):
            x = inputs(self.space, 8, seed=10 * number + step)
            yield x, x.roll(-1, dims=1)

    def calibration(self) -> Sequence[Tensor]:
        """See :class:`supernets.Batches`."""
        return [inputs(self.space, 8)]


def weights(net: Supernet) -> dict[str, Tensor]:
    """A copy."""
    return {name: value.clone() for name, value in net.state_dict().items()}


# --- bfloat16 ---------------------------------------------------------------------------------------------------------


def computed_in(net: Supernet) -> set[torch.dtype]:
    """What convolutions and linear layers of the largest subnet gave, before their norms."""
    seen = set()
    hooks = [
        net.weighted(path).norm.register_forward_pre_hook(lambda _, given: seen.add(given[0].dtype))  # type: ignore
        for path in SPACE.precisions
        if net.weighted(path).norm is not None
    ]
    with torch.no_grad(), net.active(SPACE.largest):
        y = net(Toy(SPACE).draw(4, seed=0)[0])
    assert y.dtype == torch.float32
    for hook in hooks:
        hook.remove()
    return seen


@pytest.mark.parametrize("scheme", ["sandwich", "eqnet", "mixture"])
def test_training_in_bfloat16_learns_and_keeps_weights_in_single_precision(scheme: str) -> None:
    recipe = Recipe(scheme, epochs=4, learning_rate=0.03, autocast="bf16")
    net = build(SPACE, mixture=recipe.mixture)
    losses = train(net, Toy(SPACE, steps=6), recipe, Kept(), 0)
    assert losses[-1] < losses[0]
    assert {p.dtype for p in net.parameters()} == {torch.float32}
    assert net.autocast is None
    other = build(SPACE, mixture=recipe.mixture)
    assert losses != train(other, Toy(SPACE, steps=6), Recipe(scheme, 4, 0.03), Kept(), 0)


def test_autocast_is_for_training_alone() -> None:
    net = build(SPACE).train()
    assert computed_in(net) == {torch.float32}
    net.autocast = torch.bfloat16
    assert computed_in(net) == {torch.bfloat16}
    net.eval()
    calibration = net.calibrate(SPACE.largest, [Toy(SPACE).draw(8, seed=0)[0]])
    assert {m.mean.dtype for m in calibration.moments.values()} == {torch.float32}


# --- compiled passes --------------------------------------------------------------------------------------------------

COMPILER = pytest.mark.skipif(shutil.which("g++") is None, reason="no g++ to compile with")


@COMPILER
@pytest.mark.filterwarnings("ignore:.torch.jit.script_method. is deprecated")  # torch's compiler imports it
def test_compiled_passes_train_as_the_others() -> None:
    """Not bit for bit: values in the middle of two steps go either way."""
    space, found = mobile("{choice: [float, w8a8, w4-lsq/a4-lsqplus], per: network}"), []
    for compiled in (False, True):
        net, kept = build(space), Kept()
        found.append(train(net, Toy(space, steps=2), Recipe(epochs=2, compile=compiled), kept, 0))
        assert net.kernels is EAGER
    assert found[0] == pytest.approx(found[1], rel=1e-2)
    assert found[0] != found[1]
    resumed = build(space)
    assert train(resumed, Toy(space, steps=2), Recipe(epochs=2, compile=True), Kept(kept.all[0]), 0) == found[1]
    assert all(torch.equal(a, b) for a, b in zip(net.parameters(), resumed.parameters(), strict=True))


def test_a_compiler_that_is_not_there_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    for compiler in ("g++", "clang++"):
        message = f"train.compile is true, but no {compiler} is found here: install it, or write false"
        with pytest.raises(NotTrainable, match=rf"\A{re.escape(message)}\Z"):
            train(build(SPACE), Toy(SPACE), Recipe(compile=True), Kept(), 0)
        monkeypatch.setenv("CXX", "clang++")


# --- a GPU ------------------------------------------------------------------------------------------------------------


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_a_gpu_that_is_not_there_is_said() -> None:
    message = "train.device is cuda, but torch finds no GPU that it can use here: write device: cpu"
    with pytest.raises(NotTrainable, match=rf"\A{message}\Z"):
        train(build(SPACE), Toy(SPACE), Recipe(device="cuda"), Kept(), 0)


@GPU
@pytest.mark.parametrize("scheme", SCHEMES)
def test_every_scheme_trains_on_a_gpu_and_resumes(scheme: str) -> None:
    space = small("nasbench201") if scheme == "fair" else SPACE
    recipe, kept = Recipe(scheme, epochs=4, learning_rate=0.01, autocast="bf16", device="cuda"), Kept()
    net = build(space, mixture=recipe.mixture)
    losses = train(net, Toy(space), recipe, kept, 0)
    assert losses[-1] < losses[0]
    assert {p.device.type for p in net.parameters()} == {"cpu"}
    again = build(space, mixture=recipe.mixture)
    resumed = train(again, Toy(space), recipe, Kept(kept.all[1]), 0)
    assert resumed[:2] == losses[:2]
    assert resumed[-1] == pytest.approx(losses[-1], rel=0.05)


@GPU
def test_a_step_on_a_gpu_is_that_on_the_cpu() -> None:
    found = []
    for device in ("cpu", "cuda"):
        net = build(SPACE).double().to(device).train()
        x, labels = (t.to(device) for t in Toy(SPACE).draw(16, seed=0))
        SCHEMES["sandwich"](Setting(SPACE, 0, 10)).backward(net, x.double(), labels, 0)
        found.append({n: p.grad.cpu() for n, p in net.named_parameters() if p.grad is not None})
    for name, gradient in found[0].items():
        torch.testing.assert_close(found[1][name], gradient, rtol=1e-6, atol=1e-9)


# --- several processes ------------------------------------------------------------------------------------------------


def trained(scheme: str, steps: int = 2) -> Supernet:
    """A language model without batch norm, in double precision: Adam makes much of the rounding of zero gradients."""
    space = small("gpt_tangle")
    recipe = Recipe(scheme, epochs=1)
    net = build(space, mixture=recipe.mixture).double()
    data = Words(space)
    data.steps = steps
    train(net, data, recipe, Kept(), 0)
    return net


def _process(rank: int, folder: str, scheme: str) -> None:
    os.environ["GLOO_SOCKET_IFNAME"] = "lo"
    torch.set_num_threads(1)
    distributed.init_process_group("gloo", init_method=f"file://{folder}/meeting", rank=rank, world_size=2)
    try:
        save_file(trained(scheme).state_dict(), f"{folder}/{rank}.safetensors")
    finally:
        distributed.destroy_process_group()


@pytest.mark.parametrize("scheme", ["mixture"])
def test_two_processes_on_half_batches_train_as_one_on_the_whole(tmp_path: Path, scheme: str) -> None:
    multiprocessing.spawn(_process, (str(tmp_path), scheme), nprocs=2)
    expected = weights(trained(scheme))
    for rank in (0, 1):
        found = load_file(tmp_path / f"{rank}.safetensors")
        assert list(found) == sorted(expected)
        for name, value in expected.items():
            torch.testing.assert_close(found[name], value, rtol=1e-6, atol=1e-6)


def test_one_process_alone_takes_all_and_changes_nothing() -> None:
    x, loss = torch.arange(6), torch.tensor(2.0)
    p = torch.nn.Parameter(torch.ones(2))
    p.grad = torch.ones(2)
    assert parallel.share(x) is x
    assert parallel.average([p], loss) is loss
    assert torch.equal(p.grad, torch.ones(2))
    assert parallel.rank() == 0
