"""Precisions without an integer kernel: trained, calibrated, extracted like any other; refused at export by name."""

from __future__ import annotations

import itertools
import re

import pytest
import torch
from torch.nn import functional as F
from torch.testing import assert_close

from predictors.latency.backends import onnxruntime as backend
from spaces import Architecture, Space
from spaces.precision import parse
from spaces.randomness import generator
from spaces.yaml.writer import dump
from supernets import Recipe, Simulated, Supernet, build, export, extract, fresh_network, train
from supernets.export import NotExportable
from supernets.training.annealing import annealed
from supernets.training.recipe import optimiser_of
from tests.examples import space_of
from tests.small import CHANGES, inputs, small
from tests.subnets import Kept, Toy, randomised

MENU = (
    "float", "w8a8", "w2-asymmetric/a4", "w4-tensor/a8-symmetric", "w4-lsq/a4-lsqplus", "w4-lsqplus-real/a8-real",
    "w4-e2m1-absmax/a8-token", "w8-e4m3-absmax/a8-e4m3-absmax-tensor", "w1-mean-reste/a4-lsq-unsigned",
    "w2-midrise-statsq/a8-percentile", "w2-ternary-median/float", "float/a4-token-absmax", "w4-codebook-absmax/a8",
    "w4-pow2-absmax-geometric/a8-lp", "w4-stochastic/a8-noise", "w4-adaround/a8-minmax",
)  # fmt: skip
"""Every number format, granularity and learned rule that fits any width."""
FORMS = """
model:
  family: graph
  input: [3, 8, 8]
  classes: 4
  layers:
    - conv: {{out: {{choice: [4, 8]}}, kernel: {{choice: [3, 5]}}}}
    - depthwise: {{kernel: {{choice: [3, 5]}}, stride: 2}}
    - split:
        merge: concat
        branches:
          a: [conv: {{out: {{choice: [2, 4]}}, groups: 2, dilation: 2}}]
          b: [conv: {{out: {{choice: [4, 6]}}, kernel: 3, padding: 1, norm: false, bias: false}}]
    - conv: {{out: {{choice: [4, 8]}}, kernel: 1, activation: hard_swish}}
    - tokens
    - residual: [norm, linear: {{out: {{choice: [5, 9]}}, activation: gelu}}, linear: {{out: {{tie: layers.3.out}}}}]
    - pool
    - linear: 4
precision: {{choice: [{menu}], per: {per}}}
"""
EVERY_BIT = [
    f"w{w}{'' if g == 'channel' else '-tensor'}{'' if s == 'symmetric' else '-asymmetric'}/a{a}{t}"
    for w, g, s, a, t in itertools.product(
        (2, 4, 8), ("tensor", "channel"), ("symmetric", "asymmetric"), (4, 8), ("-symmetric", "")
    )
]
"""The space of issue 6: 48 pairs."""


def space(menu: tuple[str, ...] | list[str] = MENU, per: str = "layer") -> Space:
    """All forms of layers under these precisions."""
    return space_of(FORMS.format(menu=", ".join(menu), per=per))


def seen(net: Supernet, steps: int = 2) -> Supernet:
    """Trained for a few steps, so that what learns has started."""
    optimiser, x = torch.optim.SGD(net.parameters(), lr=1e-3), inputs(net.space, 8)
    net.train()
    for i in range(steps):
        for architecture in net.space.sample_many(4, generator(1, "test", i), by_choice=True):
            optimiser.zero_grad()
            with net.active(architecture):
                net(x).square().mean().backward()  # type: ignore[no-untyped-call]
            optimiser.step()
    return net.eval()


def same(net: Supernet, architecture: Architecture, rtol: float = 1e-4, atol: float = 1e-5) -> None:
    """Slice, extracted network and one that its state dict is loaded into compute the same."""
    x = inputs(net.space, 16).to(next(net.parameters()).dtype)
    calibration = net.calibrate(architecture, inputs(net.space, 32, 1).to(x.dtype).chunk(2))
    plain = extract(net, architecture, calibration)
    with torch.no_grad(), net.active(architecture, calibration):
        expected = net(x)
    with torch.no_grad():
        assert_close(plain(x), expected, rtol=rtol, atol=atol * float(expected.abs().max().clamp_min(1)))
        loaded = fresh_network(net.space, architecture).to(x.dtype)
        loaded.load_state_dict(plain.state_dict())
        assert_close(loaded.eval()(x), plain(x), rtol=rtol, atol=atol * float(expected.abs().max().clamp_min(1)))


@pytest.mark.parametrize("name", [name for name in MENU if not parse(name).integer])  # test_integer_layers has those
def test_a_slice_is_its_extraction_in_every_precision(name: str) -> None:
    """In double precision: no tie falls the other way."""
    net = seen(randomised(space((name,)))).double()
    for architecture in net.space.sample_many(2, generator(0, "test"), by_choice=True):
        same(net, architecture, 1e-7, 1e-7)


def test_mixed_precisions_share_one_supernet() -> None:
    """Of layers by themselves, simulated ones among integer ones."""
    net = seen(randomised(space()))
    kinds: set[str] = set()
    for architecture in net.space.sample_many(8, generator(0, "test"), by_choice=True):
        calibration = net.calibrate(architecture, inputs(net.space, 32, 1).chunk(2))
        plain = extract(net, architecture, calibration)
        kinds |= {type(plain.module(y.path)).__name__ for y in plain.layers if y.kind in ("conv", "linear")}
        x = inputs(net.space, 64)
        with torch.no_grad(), net.active(architecture, calibration):
            expected = net(x)
        found = plain(x).detach()
        assert float((found - expected).abs().mean()) <= 0.02 * float(expected.abs().mean()) + 1e-4
    assert {"Quantized", "Simulated"} < kinds


def test_all_bits_granularities_and_symmetries_are_one_choice() -> None:
    assert len(EVERY_BIT) == 48
    some = space(EVERY_BIT, "network")
    net = randomised(some)
    x = inputs(some, 8)
    for name in EVERY_BIT[::5]:
        architecture = some.complete({"precision": parse(name).name}, generator(0, "test"))
        net.train()
        with net.active(architecture):
            net(x).sum().backward()  # type: ignore[no-untyped-call]
        same(net.eval().double(), architecture, 2e-2, 2e-2)
        net.float()


@pytest.mark.parametrize("name", sorted(CHANGES))
def test_every_family_trains_in_a_simulated_precision(name: str) -> None:
    """Precision only: every other choice at its largest."""
    base = small(name)
    document = dict(base.document or {})
    mine = space_of(dump({**document, "precision": {"choice": ["w4-lsq/a8-symmetric", "w2-asymmetric/a4"]}}), name)
    net = build(mine).train()
    for pick in (min, max):
        with net.active(mine.extreme(pick, "float")):
            y = net(inputs(mine, 4))
        assert torch.isfinite(y).all()
        y.square().mean().backward()  # type: ignore[no-untyped-call]


# --- training ---------------------------------------------------------------------------------------------------------

TOY = """
model:
  family: convnet
  input: [2, 7, 6]
  classes: 3
  stages: [{depth: {choice: [1, 2]}, width: {choice: [4, 6]}, kernel: 3}]
precision: {choice: [float, w4-lsq/a4-lsqplus, w2-stochastic/a8-noise, w4-eqnet-real/a8], per: layer}
"""


def test_a_training_that_stops_goes_on_bit_by_bit() -> None:
    """Learned scales and random roundings too."""
    recipe = Recipe(epochs=2)
    whole, resumed, kept = build(space_of(TOY)), build(space_of(TOY)), Kept()
    train(whole, Toy(whole.space), recipe, kept, seed=0)
    train(resumed, Toy(resumed.space), recipe, Kept(kept.all[0]), seed=0)
    for (name, ours), (_, theirs) in zip(resumed.state_dict().items(), whole.state_dict().items(), strict=True):
        assert torch.equal(ours, theirs), name
    assert any("quantizer" in name for name in whole.state_dict())


def test_learned_scales_have_a_learning_rate_of_their_own_and_no_decay() -> None:
    net = build(space_of(TOY))
    groups = optimiser_of(net, Recipe()).param_groups
    assert [g["weight_decay"] > 0 for g in groups] == [True, False, False]
    tables = [p for name, p in net.named_parameters() if "quantizer.tables" in name]
    assert tables
    assert {id(p) for p in groups[2]["params"]} == {id(p) for p in tables}
    assert groups[2]["factor"] < groups[0]["factor"] == 1.0
    plain = build(space_of(TOY.replace("w4-lsq/a4-lsqplus, w2-stochastic/a8-noise, w4-eqnet-real/a8", "w8a8")))
    assert len(optimiser_of(plain, Recipe()).param_groups) == 2


def test_annealing_moves_the_undecided_alone() -> None:
    """Weights far from a threshold stay through a step with weight decay, and so do those outside the subnet."""
    net = seen(build(space(("w2-midrise-statsq/a8",), "network")))
    narrow, x = net.space.extreme(min, "float"), inputs(net.space, 8)
    before = {path: net.weighted(path).full.detach().clone() for path in ("layers.0", "layers.7")}
    optimiser = torch.optim.AdamW(net.parameters(), lr=0.1, weight_decay=0.1)
    net.train()
    with net.active(narrow):
        F.cross_entropy(net(x), torch.zeros(8, dtype=torch.int64)).backward()  # type: ignore[no-untyped-call]
    with annealed(net, [narrow], near=0.05):
        optimiser.step()
    for path, old in before.items():
        layer = next(y for y in net.layers(narrow) if y.path == path)
        moved = net.weighted(path).full != old
        assert not moved[layer.c_out :].any()
        assert float(moved.float().mean()) < 0.4
    assert any((net.weighted(path).full != old).any() for path, old in before.items())


# --- export -----------------------------------------------------------------------------------------------------------


def test_a_simulated_precision_is_refused_at_export_by_name() -> None:
    text = (
        "model: {family: convnet, input: [1, 4, 4], classes: 3, stages: [{width: 4}]}\nprecision: {choice: [w8a8, %s]}"
    )
    for name in ("w4-asymmetric/a8", "w4-lsq/a4", "w3a8", "w8/a8-symmetric", "w4-e2m1-absmax/float"):
        some = space_of(text % name)
        said = "space example can be counted, drawn from and trained, not yet exported: "
        what = f"stages.0.0.conv: precision {name} has no ONNX form, it is simulated"
        with pytest.raises(NotExportable, match=f"^{re.escape(f'{said}{what} [not-exportable]')}$"):
            export.check(some)
        net = seen(randomised(some))
        architecture = some.complete({"stages.0.0.conv.precision": name}, generator(0, "test"))
        plain = extract(net, architecture, net.calibrate(architecture, [inputs(some, 8)]))
        with pytest.raises(NotExportable, match=f"^{re.escape(what)}$"):
            export.onnx(plain)
    assert isinstance(plain.module("stages.0.0.conv"), Simulated)
    assert repr(plain.module("stages.0.0.conv")).startswith("Simulated(")


def test_integer_weights_are_exported_however_their_scale_was_found() -> None:
    """Learned steps, one for the whole tensor, in 2, 4 and 8 bits: the three forms agree."""
    names = ("w4-lsq/a8", "w4-tensor/a8", "w8-percentile/a8", "w4-stochastic/a8", "w4-tensor-eqnet/a8", "w2a8")
    model = "model: {family: convnet, input: [1, 6, 6], classes: 3, stages: [{width: 4, depth: 2}]}"
    some = space_of(f"{model}\nprecision: {{choice: [{', '.join(names)}]}}")
    export.check(some)
    net = seen(randomised(some))
    for name in names:
        precisions = dict.fromkeys(some.outline.precision_choices, name)
        architecture = some.architecture(precisions)
        calibration = net.calibrate(architecture, [inputs(some, 32, 1)])
        plain, x = extract(net, architecture, calibration), inputs(some, 16)
        with torch.no_grad(), net.active(architecture, calibration):
            expected = net(x)
        in_file = torch.from_numpy(backend.evaluate(export.onnx(plain, 16), x.numpy()))
        step = 0.02 * float(expected.abs().max())
        assert_close(plain(x).detach(), expected, rtol=0, atol=step)
        assert_close(in_file, expected, rtol=0, atol=step)
        assert all(backend.OnnxRuntime().kernel(y) is not None for y in plain.layers if y.kind in ("conv", "linear"))
