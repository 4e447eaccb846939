"""Single kinds of layers against torch's own, and what networks take as input."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.testing import assert_close

from spaces import Architecture
from spaces.randomness import generator
from supernets import NotBuildable, build, check, export, extract, fresh_network
from supernets.functions.attention import rotary
from supernets.plain import Network
from tests.examples import space_of
from tests.small import inputs, small
from tests.subnets import randomised

NO_CHOICE = Architecture({})


def network(layers: str, shape: str = "[2, 5, 7]", family: str = "graph") -> Network:
    """A plain network of these layers."""
    text = f"model:\n  family: {family}\n  input: {shape}\n  classes: 3\n  layers:\n{layers}"
    return fresh_network(space_of(text), NO_CHOICE).eval()


def noise(*shape: int) -> Tensor:
    """Normal numbers."""
    return torch.randn(*shape, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize(
    ("layer", "module"),
    [
        ("pool: {kind: avg, kernel: 3, stride: 1}", nn.AvgPool2d(3, 1, 1, count_include_pad=False)),
        ("pool: {kind: avg, kernel: 3, stride: 2}", nn.AvgPool2d(3, 2, 1, count_include_pad=False)),
        ("pool: {kind: avg, kernel: 2, stride: 2}", nn.AvgPool2d(2, 2, ceil_mode=True)),
        ("pool: {kind: max, kernel: 3, stride: 2}", nn.MaxPool2d(3, 2, 1)),
        ("pool: {kind: max, kernel: 2, stride: 2}", nn.MaxPool2d(2, 2, ceil_mode=True)),
        ("pool: {kind: max, kernel: 2, stride: 2, padding: 0}", nn.MaxPool2d(2, 2)),
        ("upsample: 2", nn.Upsample(scale_factor=2)),
        ("activation: hard_swish", nn.Hardswish()),
        ("activation: swish", nn.SiLU()),
        ("activation: gelu", nn.GELU()),
        ("activation: relu6", nn.ReLU6()),
        ("activation: hard_sigmoid", nn.Hardsigmoid()),
        ("flatten", nn.Flatten()),
    ],
)
def test_layers_without_weights_are_torchs(layer: str, module: nn.Module) -> None:
    x = noise(4, 2, 5, 7)
    assert_close(network(f"    - {layer}\n")(x), module(x))


def test_an_even_pool_that_keeps_the_size_looks_to_the_right() -> None:
    """The mean is over the places that are there."""
    x = torch.arange(6.0).reshape(1, 1, 2, 3)
    y = network("    - pool: {kind: avg, kernel: 2, stride: 1}\n", "[1, 2, 3]")(x)
    assert_close(y, torch.tensor([[[[2.0, 3.0, 3.5], [3.5, 4.5, 5.0]]]]))


def test_attention_is_torchs() -> None:
    """Against ``nn.MultiheadAttention`` with the same weights."""
    net = network("    - tokens\n    - attention: 3\n", "[6, 2, 4]")
    theirs = nn.MultiheadAttention(6, 3, batch_first=True).eval()
    parts = [net.module(f"layers.1.{name}") for name in ("queries", "keys", "values")]
    with torch.no_grad():
        theirs.in_proj_weight.copy_(torch.cat([part.weight for part in parts]))
        theirs.in_proj_bias.copy_(torch.cat([part.bias for part in parts]))
        theirs.out_proj.load_state_dict(net.module("layers.1.output").state_dict())
        x = noise(3, 6, 2, 4)
        places = x.flatten(2).transpose(1, 2)
        assert_close(net(x), theirs(places, places, places, need_weights=False)[0])


def test_heads_of_queries_share_those_of_keys_and_values() -> None:
    """As if each of these were repeated for the consecutive heads that read it."""
    text = "model: {family: vit, input: [3, 8, 8], classes: 3, patch: 4, embed: 12, depth: 1, heads: 6, kv_heads: %d}"
    shared, plain = (fresh_network(space_of(text % n), NO_CHOICE, seed=n).eval() for n in (2, 6))
    weights = shared.state_dict()
    for name, value in weights.items():
        if ".keys." in name.replace("/", ".") or ".values." in name.replace("/", "."):
            weights[name] = value.reshape(2, 1, 2, -1).expand(2, 3, 2, -1).reshape(12, *value.shape[1:])
    plain.load_state_dict(weights)
    with torch.no_grad():
        assert_close(shared(noise(4, 3, 8, 8)), plain(noise(4, 3, 8, 8)))
    assert "attention(6 heads, 2 of keys and values)" in repr(shared)


def test_a_norm_is_over_the_features_of_each_place_of_a_picture_too() -> None:
    x = noise(3, 2, 5, 7)
    assert_close(network("    - norm\n")(x), F.layer_norm(x.movedim(1, -1), (2,)).movedim(-1, 1))


def test_rotary_positions_turn_pairs_of_features() -> None:
    """As complex numbers times exp(i angle) (RoFormer, equation 34): products tell how far two tokens are apart."""
    text = "model: {family: gpt, tokens: 9, vocabulary: 5, embed: 12, depth: 1, heads: 2, positions: rotary}"
    layer = next(y for y in space_of(text).outline.layers(NO_CHOICE) if y.kind == "rotary")
    x = noise(2, 9, 12).double()
    angles = torch.outer(torch.arange(9.0).double(), 10_000 ** (-torch.arange(0, 6, 2).double() / 6))
    numbers = torch.view_as_complex(x.reshape(2, 9, 2, 3, 2)) * torch.polar(torch.ones_like(angles), angles)[:, None]
    assert_close(rotary(layer, x), torch.view_as_real(numbers).reshape(2, 9, 12))
    same = noise(1, 1, 12).expand(1, 9, 12)
    products = rotary(layer, same)[0] @ rotary(layer, same.flip(2))[0].T
    assert_close(products.diagonal(2), products[0, 2].expand(7), rtol=1e-4, atol=1e-4)
    assert not torch.allclose(products.diagonal(2), products[2, 0].expand(7))
    assert rotary(layer, x.half()).dtype == torch.float16
    assert_close(rotary(layer, x[:, :4]), rotary(layer, x)[:, :4])


def test_an_rms_norm_has_neither_mean_nor_shift() -> None:
    x = noise(3, 2, 5, 7)
    wanted = x / (x.square().mean(dim=1, keepdim=True) + 1e-5).sqrt()
    assert_close(network("    - rms_norm\n")(x), wanted)
    assert "RMSNorm" in repr(network("    - rms_norm\n"))


# --- what goes in and comes out ---------------------------------------------------------------------------------------


def test_a_language_model_gives_logits_of_every_token_and_looks_at_no_later_one() -> None:
    """It takes fewer tokens than it has positions for."""
    space = small("gpt_tangle")
    net = randomised(space)
    x = inputs(space, 4)
    architecture = space.sample(generator(0, "test"))
    with torch.no_grad(), net.active(architecture):
        y = net(x)
        assert y.shape == (4, 6, 19)
        assert_close(net(x[:, :4]), y[:, :4])
        changed = torch.cat([x[:, :4], (x[:, 4:] + 1) % 19], dim=1)
        assert_close(net(changed)[:, :4], y[:, :4])
        assert not torch.equal(net(changed), y)


def test_an_encoder_and_decoder_takes_source_and_target() -> None:
    """As one tensor (b, 2, t) or as two, which may then differ in length; the target's future is hidden."""
    space = small("hat_transformer")
    net = randomised(space)
    both = inputs(space, 4)
    source, target = both.unbind(dim=1)
    for architecture in space.sample_many(3, generator(0, "test"), by_choice=True):
        calibration = net.calibrate(architecture, [both])
        plain = extract(net, architecture, calibration)
        with torch.no_grad(), net.active(architecture, calibration):
            y = net(both)
            assert_close(net(source, target), y)
            assert_close(plain(source, target), y)
            assert net(source, target[:, :2]).shape == (4, 2, 19)
            assert_close(net(source, target[:, :2]), y[:, :2])
            assert not torch.equal(net((source + 1) % 19, target), y)


def test_an_input_is_brought_to_the_chosen_resolution() -> None:
    """In the supernet and in the extracted network, which takes one of its own size as it is."""
    space = small("bignas")
    net = randomised(space)
    x = inputs(space, 4)
    for resolution in (12, 24):
        architecture = space.complete({"resolution": resolution}, generator(0, "test"))
        calibration = net.calibrate(architecture, [x])
        plain = extract(net, architecture, calibration)
        assert plain.input_shape == (3, resolution, resolution)
        brought = F.interpolate(x, (resolution, resolution), mode="bilinear") if resolution != 24 else x
        with torch.no_grad(), net.active(architecture, calibration):
            assert_close(net(x), net(brought))
            assert_close(plain(brought), plain(x))


def test_a_tied_head_has_the_weight_of_the_embedding() -> None:
    space = small("gpt_tangle")
    net = randomised(space)
    assert "weight" not in dict(net.layer("head").named_parameters())
    architecture = space.largest
    plain = extract(net, architecture, net.calibrate(architecture, [inputs(space, 4)]))
    before = plain(inputs(space, 4))
    with torch.no_grad():
        plain.module("embedding").weight.mul_(2)
    assert not torch.equal(plain(inputs(space, 4)), before)
    assert [name for name in plain.state_dict() if "embedding" in name or "head" in name] == [
        "weighted.embedding.weight"
    ]


def test_a_network_to_be_trained_has_norms_of_its_own() -> None:
    """In evaluation it computes what the folded one does; integer layers cannot be trained."""
    space = small("bignas")
    net = randomised(space).double()
    x = inputs(space, 6).double()
    architecture = space.sample(generator(0, "test"))
    calibration = net.calibrate(architecture, [x])
    folded, unfolded = (extract(net, architecture, calibration, folded=f) for f in (True, False))
    assert any(isinstance(m, nn.BatchNorm2d) for m in unfolded.modules())
    assert not any(isinstance(m, nn.BatchNorm2d) for m in folded.modules())
    with torch.no_grad():
        assert_close(unfolded(x), folded(x), rtol=1e-9, atol=1e-9)
    digits = build(small("digits"))
    integer = digits.space.extreme(max, "w8a8")
    with pytest.raises(ValueError, match=r"^a network to be trained has float layers only: extract it folded, or "):
        extract(digits, integer, digits.calibrate(integer, [inputs(digits.space, 4)]), folded=False)


def test_a_network_shows_its_layers() -> None:
    net = network("    - conv: {out: 4, kernel: 3}\n    - pool\n    - linear: 3\n")
    assert repr(net).splitlines() == [
        "Network(input 2x5x7",
        "  layers.0: Conv2d(2, 4, kernel_size=(3, 3), stride=(1, 1), padding=(1, 1)) relu <- input",
        "  layers.1: pool <- layers.0",
        "  layers.2: Linear(in_features=4, out_features=3, bias=True) <- layers.1",
        ")",
    ]


# --- what cannot be done ----------------------------------------------------------------------------------------------


def test_a_space_without_layers_is_no_network() -> None:
    space = space_of("model: {family: choices, choices: {a: {choice: [1, 2]}}}")
    message = r"^space example can be counted and drawn from, not trained: it has no layers \[not-buildable\]$"
    with pytest.raises(NotBuildable, match=message):
        check(space)


def test_what_has_no_onnx_form_is_refused_by_name() -> None:
    """Before anything is trained."""
    said = "stages.0.0.conv1: precision w2-tensor/a2-symmetric has no ONNX form, it is simulated"
    message = (
        rf"^space eqnet_resnet18 can be counted, drawn from and trained, not yet exported: {said} \[not-exportable\]$"
    )
    with pytest.raises(export.NotExportable, match=message):
        export.check(small("eqnet_resnet18"))


def test_what_is_exported_today_is_not_refused() -> None:
    export.check(small("digits"))
