"""Every small model: the largest subnet is the user's, a slice is its extraction, and counts are torch's."""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils._pytree import tree_leaves
from torch.utils.flop_counter import FlopCounterMode

from spaces import Architecture, stored
from spaces.randomness import generator
from supernets import Calibration, Recipe, Supernet, build, extract, fresh_network, train, wrap
from supernets.wrapping import Wrapped
from tests.subnets import Kept, Toy
from tests.supernets.wrapping.models import MODELS, SmallResNet, made

Inputs = tuple[Tensor, ...]


@pytest.fixture(scope="module", params=sorted(MODELS))
def wrapped(request: pytest.FixtureRequest) -> tuple[Wrapped, nn.Module, Inputs]:
    """A model, wrapped, and its inputs."""
    module, inputs = made(request.param)
    return wrap(module, inputs), module, inputs


def doubled(inputs: Inputs) -> Inputs:
    """In float64, but for numbers of tokens."""
    return tuple(x.double() if x.is_floating_point() else x for x in inputs)


def floats(net: Supernet, architecture: Architecture) -> Architecture:
    """The same with float for every layer."""
    return net.space.architecture({k: "float" if k.endswith("precision") else v for k, v in architecture.items()})


def calibrated(net: Supernet, architecture: Architecture, inputs: Inputs) -> Calibration:
    """Statistics of these inputs."""
    return net.calibrate(architecture, [inputs])


@torch.no_grad()
def outputs(net: nn.Module, inputs: Inputs) -> list[Tensor]:
    """All tensors that come out."""
    return tree_leaves(net(*inputs))


def sliced(net: Supernet, architecture: Architecture, calibration: Calibration, inputs: Inputs) -> list[Tensor]:
    """All tensors that come out of a subnet."""
    with net.active(architecture, calibration):
        return outputs(net, inputs)


def test_the_largest_subnet_is_the_users_model(wrapped: tuple[Wrapped, nn.Module, Inputs]) -> None:
    """Bit for bit, also for a batch of another size; the module itself has not changed."""
    net, module, inputs = wrapped
    for given in (inputs, tuple(torch.cat([x, x, x[:1]]) for x in inputs), tuple(x[:1] for x in inputs)):
        ours = sliced(net, net.space.largest, net.calibration, given)
        theirs = outputs(module, given)
        assert len(ours) == len(theirs)
        assert all(map(torch.equal, ours, theirs))


def test_a_slice_is_its_extraction_and_counts_are_torchs(wrapped: tuple[Wrapped, nn.Module, Inputs]) -> None:
    """In float64, for random architectures and both ends; nothing of a foreign storage is left in it."""
    net, inputs = copy.deepcopy(wrapped[0]).double(), doubled(wrapped[2])
    space = net.space
    drawn = [*space.sample_many(6, generator(0, "test.wrap")), space.largest, space.extreme(min, "float")]
    own = {p.untyped_storage().data_ptr() for p in net.parameters()}
    for architecture in (floats(net, a) for a in drawn):
        calibration = calibrated(net, architecture, inputs)
        plain = extract(net, architecture, calibration)
        for ours, theirs in zip(sliced(net, architecture, calibration, inputs), outputs(plain, inputs), strict=True):
            torch.testing.assert_close(ours, theirs, rtol=1e-9, atol=1e-9)
        assert own.isdisjoint(p.untyped_storage().data_ptr() for p in plain.parameters())
        with torch.no_grad(), sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as counter:
            plain(*inputs)
        counted = space.cost([architecture])
        assert counted["parameters"][0] == sum(p.numel() for p in plain.parameters())
        assert counted["macs"][0] * len(inputs[0]) * 2 == counter.get_total_flops()


def test_integer_layers_of_slice_and_extraction_agree(wrapped: tuple[Wrapped, nn.Module, Inputs]) -> None:
    """Random precisions; rounding may differ by a step here and there."""
    net, _, inputs = wrapped
    for architecture in net.space.sample_many(3, generator(1, "test.wrap")):
        calibration = calibrated(net, architecture, inputs)
        plain = extract(net, architecture, calibration)
        for ours, theirs in zip(sliced(net, architecture, calibration, inputs), outputs(plain, inputs), strict=True):
            close = (ours - theirs).abs() <= 1e-3 * theirs.abs().max()
            assert close.double().mean() > 0.97


@pytest.mark.parametrize("precision", ["w2-ternary-median/float", "w8-e4m3-absmax/a8-e4m3-absmax-tensor"])
def test_a_layer_that_runs_twice_may_have_two_precisions(precision: str) -> None:
    """Also of formats that no integer kernel runs: its extraction is then two layers."""
    module, inputs = made("ugly")
    net = wrap(module, inputs, {"width": [], "precision": ["float", precision]}).double()
    for first, second in (("float", precision), (precision, "float"), (precision, precision)):
        chosen = {**floats(net, net.space.largest), "shared.precision": first, "shared_2.precision": second}
        architecture = net.space.architecture(chosen)
        calibration = calibrated(net, architecture, doubled(inputs))
        plain = extract(net, architecture, calibration)
        ours = sliced(net, architecture, calibration, doubled(inputs))
        for a, b in zip(ours, outputs(plain, doubled(inputs)), strict=True):
            torch.testing.assert_close(a, b, rtol=1e-9, atol=1e-9)


def test_an_outline_and_weights_are_all_it_takes(wrapped: tuple[Wrapped, nn.Module, Inputs]) -> None:
    """Through JSON, exactly: the same space, supernet and network, without the user's code."""
    net, _, inputs = wrapped
    space = stored.from_json(json.loads(json.dumps(stored.to_json(net.space))))
    assert (space.digest, space.outline, space.choices) == (net.space.digest, net.outline, net.space.choices)
    again = build(space).eval()
    again.load_state_dict(net.state_dict())
    architecture = floats(net, next(iter(space.sample_many(1, generator(2, "test.wrap")))))
    calibration = calibrated(net, architecture, inputs)
    ours = sliced(net, architecture, calibration, inputs)
    assert all(map(torch.equal, ours, sliced(again, architecture, calibration, inputs)))
    fresh = fresh_network(space, architecture)
    fresh.load_state_dict(extract(net, architecture, calibration).state_dict())
    for a, b in zip(ours, outputs(fresh.eval(), inputs), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", ["densenet", "resnet", "ugly", "words"])
def test_channels_in_order_of_importance_change_no_function(name: str) -> None:
    """The largest subnet computes what the model does, but for the order of sums."""
    module, inputs = made(name)
    net = wrap(module, inputs, {"reorder": True}).double()
    ours = sliced(net, net.space.largest, net.calibration, doubled(inputs))
    for a, b in zip(ours, outputs(module.double(), doubled(inputs)), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-9, atol=1e-9)


def test_the_most_important_channels_are_first() -> None:
    """By the sum over all weights that make or read them."""
    module, inputs = made("densenet")
    net = wrap(module, inputs, {"reorder": True})
    made_by, read_by = net.weighted("layers.3.conv").weight, net.weighted("head").weight
    assert isinstance(made_by, Tensor)
    assert isinstance(read_by, Tensor)
    sums = made_by.abs().sum(dim=(1, 2, 3)) + read_by[:, -8 * 16 :].reshape(5, 8, 16).abs().sum(dim=(0, 2))
    assert bool((sums[:-1] >= sums[1:]).all())


def test_it_trains() -> None:
    """With the sandwich rule, as any supernet; what was not trained is still the user's."""
    module, inputs = made("resnet")
    net = wrap(module, inputs, {"precision": ["float"]})
    losses = train(net, Toy(net.space), Recipe(epochs=3, learning_rate=0.01), Kept(), seed=0)
    assert losses[-1] < losses[0]
    assert torch.equal(net.calibration.moments["one.0.second"].mean, module.one[0].norm.running_mean)  # type: ignore[index, union-attr, union-attr]


def test_the_report_names_what_is_kept_and_why() -> None:
    """Layer by layer; all of a residual network but its input and its output."""
    module, inputs = made("resnet")
    report = wrap(module, inputs).report
    assert str(report) == (
        "13 of 13 layers have elastic widths\n"
        "one.depth: [2, 3]\n"
        "two.depth: [1, 2]\n"
        "stem.0: input: an input of the network\n"
        "head: output: an output of the network"
    )
    assert report.elastic_share == 1
    assert all(part.precision for part in report.layers)
    assert report.to_json()["layers"][0] == {
        "path": "stem.0", "kind": "conv", "parameters": 216, "output": True, "input": False, "precision": True,
        "reason": "input: an input of the network",
    }  # fmt: skip


def test_choices_are_named_after_the_first_layer_of_their_group() -> None:
    """Channels of a residual stream are one choice; blocks beyond the depth have none."""
    net = wrap(SmallResNet(), torch.randn(1, 3, 8, 8), {"width": [0.5, 1], "precision": ["float"]})
    said = [(c.name, c.values, [str(w) for w in c.when]) for c in net.space.choices]
    assert said == [
        ("one.depth", (2, 3), []),
        ("two.depth", (1, 2), []),
        ("stem.0.width", (4, 8), []),
        ("one.0.first.0.width", (4, 8), []),
        ("one.1.first.0.width", (4, 8), []),
        ("one.2.first.0.width", (4, 8), ["one.depth in [3]"]),
        ("two.0.first.0.width", (8, 16), []),
        ("two.0.second.width", (8, 16), []),
        ("two.1.first.0.width", (8, 16), ["two.depth in [2]"]),
    ]


def test_widths_of_single_layers() -> None:
    """By the path of any layer of the group, in channels; others keep the shares."""
    choices: dict[str, Any] = {"width": [], "depth": [], "layers": {"one.1.second": [2, 8], "two.0.first.0": [3]}}
    net = wrap(SmallResNet(), torch.randn(1, 3, 8, 8), choices)
    widths = {c.name: c.values for c in net.space.choices if not c.name.endswith("precision")}
    assert widths == {"stem.0.width": (2, 8), "two.0.first.0.width": (3, 16)}


class After(nn.Module):
    """A residual block that ends in its norm, or one that only keeps the shape."""

    def __init__(self, residual: bool) -> None:
        super().__init__()
        self.conv, self.norm = nn.Conv2d(8, 8, 3, padding=1, groups=8), nn.BatchNorm2d(8)
        self.residual = residual

    def forward(self, x: Tensor) -> Tensor:
        """Norm after the sum."""
        return self.norm(x + self.conv(x) if self.residual else self.conv(x))  # type: ignore[no-any-return]


def test_a_block_that_ends_in_a_norm_can_be_left_out() -> None:
    """Then what comes in passes by, and its norm needs no statistics; of other blocks all are needed."""
    choices = {"width": [], "precision": ["float"], "depth": [0.1, 1]}
    x = torch.randn(4, 3, 8, 8)
    plain, residual = (nn.Sequential(nn.Conv2d(3, 8, 1), *(After(r) for _ in range(3))) for r in (False, True))
    assert wrap(plain, x, choices).space.size == 1
    net = wrap(residual, x, choices)
    assert [(c.name, c.values) for c in net.space.choices] == [("1.depth", (1, 3))]
    short = net.space.architecture({"1.depth": 1})
    assert torch.equal(sliced(net, short, net.calibration, (x,))[0], outputs(residual[:2].eval(), (x,))[0])
    assert [y.path for y in net.layers(short)] == ["0", "1.conv", "1.add", "1.norm", "output"]
