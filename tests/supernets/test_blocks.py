"""Linear layers of weights in blocks: what is searched is what the file computes, and it runs on its own kernel."""

from __future__ import annotations

import re
from itertools import pairwise

import numpy as np
import onnx
import pytest
import torch
from torch import nn

from predictors.latency import Target
from predictors.latency.backends import onnxruntime as backend
from predictors.latency.key import LayerKey
from predictors.latency.menu import menu_of
from predictors.latency.plan import distinct_keys
from predictors.latency.probes import key_model
from predictors.latency.profile import whole_network
from spaces import Space
from spaces.precision import parse
from spaces.randomness import generator
from supernets import NotWrappable, export, extract, wrap
from supernets.export import NotExportable
from supernets.export.onnx import BLOCKS
from tests.examples import space_of
from tests.predictors.networks import VIT
from tests.subnets import calibrated, randomised
from tests.supernets.wrapping.models import made, parts_of_encoders


def space(*precisions: str) -> Space:
    """Small transformers of these precisions, float and w8a8."""
    return space_of(VIT.format(", ".join(("w8a8", *precisions))))


@pytest.mark.parametrize(
    "precision",
    [
        *[f"w{bits}-group{g}/a8-symmetric-group{g}" for bits, sizes in BLOCKS.items() for g in sizes if g <= 32],
        "w4-group32-absmax/a8-symmetric-group32-absmax", "w4-group16-lp/a8-symmetric-group16",
    ],
)  # fmt: skip
def test_the_file_computes_what_the_supernet_does(precision: str) -> None:
    """To the rounding of sums; its kernel rounds rows to 8 bits by the same blocks. No layer computes in floats."""
    assert parse(precision).blockwise
    found = space(precision)
    export.check(found)
    net, architecture = randomised(found), found.extreme(max, precision)
    calibration = calibrated(net, architecture)
    network = extract(net, architecture, calibration).eval()
    x = torch.randn(2, 3, 16, 16, generator=torch.Generator().manual_seed(1))
    with torch.no_grad(), net.active(architecture, calibration):
        expected = net(x)
    model = export.onnx(network, 2)
    in_file = torch.from_numpy(backend.evaluate(model, x.numpy()))
    torch.testing.assert_close(in_file, expected, rtol=0, atol=1e-5 * float(expected.abs().max()))
    runtime = Target().runtime
    audit, wrong = runtime.audited(model, network.layers)
    assert wrong == []
    inner = [y.path for y in network.layers if y.kind == "linear"]
    assert {audit.layers[path] for path in inner} == {"MatMulNBits"}
    weight = parse(precision).weight
    assert weight is not None
    assert {runtime.weight_bits(model, path, 1) for path in inner} == {weight.bits}
    stored = {t.name: len(t.raw_data) for t in onnx.load_from_string(model).graph.initializer}
    for y in network.layers:
        if y.kind == "linear":
            assert stored[f"{y.path}.weight"] == y.c_in * y.c_out * weight.bits // 8


def test_any_mix_of_precisions_is_exported() -> None:
    """Blocks read floats: what comes from a layer of 8 bits is read as values."""
    found = space("w4-group32/a8-symmetric-group32", "w2-group32/a8-symmetric-group32")
    net = randomised(found)
    for architecture in found.sample_many(6, generator(0, "test"), by_choice=True):
        network = extract(net, architecture, calibrated(net, architecture)).eval()
        x = torch.randn(1, 3, 16, 16, generator=torch.Generator().manual_seed(1))
        with torch.no_grad():
            expected = network(x)
        model = export.onnx(network)
        assert Target().runtime.audited(model, network.layers)[1] == []
        in_file = torch.from_numpy(backend.evaluate(model, x.numpy()))
        assert float((in_file - expected).norm() / expected.norm()) < 0.02  # a step of 8 bits where a sum lies between


@pytest.mark.parametrize("name", ["vit", "words"])
def test_wrapped_models_have_blocks_where_they_go(name: str) -> None:
    """Each layer has the sizes that divide its inputs; a search leaves them to linear layers."""
    block = "w4-group16/a8-symmetric-group16"
    with parts_of_encoders():
        module, inputs = made(name)
        found = wrap(module, inputs, {"width": [1], "precision": ["float", block]}).space.restrict(menu_of(Target()))
        with_it = {path for path, of in found.precisions.items() if block in {p.name for p in of}}
        layers = found.outline.layers(found.extreme(max, block))
        weighted = [y for y in layers if y.kind in ("conv", "linear")]
        assert with_it == {y.path for y in weighted if y.kind == "linear" and y.c_in % 16 == 0}
        assert name == "vit" or {y.c_in for y in weighted} == {16, 24}
        audit, wrong = Target().runtime.audited(whole_network(found, found.extreme(max, block), Target()), layers)
    assert wrong == []
    assert {path for path, op in audit.layers.items() if op == "MatMulNBits"} == with_it


def test_a_wrapped_model_that_leaves_no_precision_is_refused() -> None:
    """With layer, size and number of inputs."""
    module, inputs = made("words")
    said = "layer.linear2: precision w4-group16/float: group size 16 does not divide 24 input channels"
    for given in ("w4-group16/float", ["w4-group16/float", "w2-group16/float"]):
        with parts_of_encoders(), pytest.raises(NotWrappable, match=re.escape(said)):
            wrap(module, inputs, {"width": [1], "precision": given})


def test_rows_of_blocks_are_timed_on_their_kernel_and_priced_apart() -> None:
    """A key each, by bits and size of the block; fewer bits are fewer bytes."""
    found = space("w4-group32/a8-symmetric-group32", "w8-group16/a8-symmetric-group16")
    keys = [key for key in distinct_keys(found, Target()) if isinstance(key, LayerKey) and key.op == "linear"]
    assert {key.weight for key in keys} == {"f32", "w8c", "w4g32a8", "w8g16a8"}
    for key in [key for key in keys if key.weight.endswith("a8")][::6]:
        ran = [node.op_type for node in backend.optimised(key_model(key)).graph.node]
        assert ran.count("MatMulNBits") == 1
        assert not {"Gemm", "FusedGemm", "QGemm"} & set(ran)
        assert (key.source, key.target) == ("f32", "f32")
        assert key.weight_bytes == key.c_in * key.c_out * int(key.weight[1]) // 8


def test_a_search_may_choose_blocks_for_linear_layers_alone() -> None:
    """By the menu: others are not left a convolution, nor sizes without a kernel of integers."""
    menu = menu_of(Target())
    four = "w4-group32/a8-symmetric-group32"
    assert [o for o, forms in menu.forms.items() if four in forms] == ["linear"]
    assert menu.forms["linear"][four] == "real"
    left = space(four, "w4-group32/float", "w2-group16/a8-symmetric-group16").restrict(menu)
    assert {p.name for of in left.precisions.values() for p in of} == {"float", "w8a8", four}


@pytest.mark.parametrize(
    "precision", ["w2-group16/a8-symmetric-group16", "w3-group32/a8-symmetric-group32", "w4-group32/float"]
)
def test_what_has_no_kernel_is_refused_by_name(precision: str) -> None:
    """The runtime would load some of them and compute in floats."""
    said = f"blocks.0.attention.queries: precision {parse(precision).name} has no ONNX form, it is simulated"
    with pytest.raises(NotExportable, match=re.escape(said)):
        export.check(space(precision))


@pytest.mark.parametrize(
    ("name", "blockwise"),
    [
        ("w4-group32/a8-symmetric-group32", True), ("w4-group32/a8-symmetric-group64", False),
        ("w4-group32/a8", False), ("w4-group32/a8-group32", False), ("w4-group32/float", False),
        ("w4-group32-asymmetric/a8-symmetric-group32", False), ("w4-group32/a4-symmetric-group32", False),
        ("w4-group32/a8-symmetric-group32-percentile", False), ("w8a8", False), ("float", False),
        ("w2-ternary-group32/a8-symmetric-group32", False), ("w4-full-group32/a8-symmetric-group32", False),
        ("w4-group32-lp/a8-symmetric-group32-routed", True), ("w4-group32/a8-symmetric-group32-stochastic", True),
    ],
)  # fmt: skip
def test_blocks_are_rounded_alike_on_both_sides(name: str, blockwise: bool) -> None:
    """What is on the menu can be exported, and the other way round."""
    precision = parse(name)
    assert precision.blockwise == blockwise
    on_menu = menu_of(Target()).forms["linear"].get(precision.kernel) == "real"
    assert on_menu == (blockwise or name in ("w8a8", "float"))
    if blockwise:
        export.check(space(name))
    elif not on_menu and "group64" not in name:
        with pytest.raises(NotExportable, match=re.escape(f"precision {precision.name} has no ONNX form")):
            export.check(space(name))


def test_pictures_with_their_features_last_are_rounded_by_features() -> None:
    """A linear layer of a wrapped model reads (b, h, w, c): blocks are of features, whatever the other sizes."""

    class Places(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.a, self.b = nn.Linear(32, 64), nn.Linear(64, 5)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            made: torch.Tensor = self.b(torch.tanh(self.a(x))).mean((1, 2))
            return made

    def pictures(n: int, h: int) -> torch.Tensor:
        drawn = torch.randn(n, h, 3, 32, generator=torch.Generator().manual_seed(n))
        return drawn * torch.logspace(-2, 2, h)[None, :, None, None]

    block = "w4-group32/a8-symmetric-group32"
    for h in (32, 4):
        net = wrap(Places().eval(), pictures(2, h), {"width": [1], "precision": ["float", block]})
        architecture = net.space.extreme(max, block)
        calibration = net.calibrate(architecture, [pictures(16, h)])
        network, x = extract(net, architecture, calibration).eval(), pictures(2, h)
        with torch.no_grad(), net.active(architecture, calibration):
            expected = net(x)
        in_file = torch.from_numpy(backend.evaluate(export.onnx(network, 2), x.numpy()))
        torch.testing.assert_close(in_file, expected, rtol=0, atol=1e-5 * float(expected.abs().max()))
        with torch.no_grad():
            torch.testing.assert_close(network(x), expected, rtol=0, atol=1e-5 * float(expected.abs().max()))


def test_another_runtime_that_would_leave_rows_as_they_are_refuses_blocks() -> None:
    """Also where simulated precisions are asked for: its file would be another network."""
    pytest.importorskip("openvino", reason="openvino is not installed: pip install openvino")
    runtime, block = Target("openvino").runtime, "w4-group32/a8-symmetric-group32"
    found = space(block)
    said = f"blocks.0.attention.queries: backend openvino has no kernel for precision {parse(block).name}"
    with pytest.raises(NotExportable, match=re.escape(f"space vit: {said} [not-exportable]")):
        runtime.check(found)
    with pytest.raises(NotExportable, match=re.escape(said)):
        whole_network(found, found.extreme(max, block), Target("openvino"))
    runtime.check(found.restrict(menu_of(Target("openvino"))))


def test_more_bits_are_nearer_to_the_float_layer() -> None:
    """And smaller blocks than larger ones; all are other numbers than floats'."""
    names = [f"w{bits}-group{g}-absmax/a8-symmetric-group{g}" for bits, g in ((8, 16), (4, 16), (4, 32))]
    found = space(*names)
    net, x = randomised(found), torch.randn(8, 3, 16, 16, generator=torch.Generator().manual_seed(1))
    outputs = []
    for name in ("float", *names):
        architecture = found.extreme(max, name)
        network = extract(net, architecture, calibrated(net, architecture)).eval()
        with torch.no_grad():
            outputs.append(network(x).numpy())
    errors = [float(np.linalg.norm(y - outputs[0])) for y in outputs]
    assert all(a < b for a, b in pairwise(errors))
