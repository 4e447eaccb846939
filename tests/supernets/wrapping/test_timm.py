"""Two models of timm, small; ``tests/benchmarks/wrap.py`` tries all of them."""

from __future__ import annotations

import pytest
import torch

from predictors.latency.backends import onnxruntime as backend
from spaces.randomness import generator
from supernets import export, extract, wrap
from tests.supernets.wrapping.forms import compare
from tests.timm_models import made

pytest.importorskip("timm", reason="timm is in the extra 'test'")


@pytest.mark.parametrize(("name", "size"), [("mobilenetv3_small_100", 32), ("vit_tiny_patch16_224", 32)])
@torch.no_grad()
def test_a_model_of_timm(name: str, size: int) -> None:
    """All layers elastic, the largest subnet the model itself, a slice its extraction, the smallest one small."""
    module, (x,) = made(name, size, count=16)  # of fewer pictures, variances of one place are near 0
    net = wrap(module, x)
    space = net.space
    with net.active(space.largest, net.calibration):
        assert torch.equal(net(x), module(x))
    assert net.report.elastic_share >= 0.9
    assert all(part.precision for part in net.report.layers)
    macs = space.cost([space.largest, space.extreme(min, "float")])["macs"]
    assert macs[1] <= 0.4 * macs[0]
    net, x = net.double(), x.double()
    for drawn in space.sample_many(2, generator(0, "test.timm")):
        architecture = space.architecture({k: "float" if k.endswith("precision") else v for k, v in drawn.items()})
        calibration = net.calibrate(architecture, [x])
        with net.active(architecture, calibration):
            y = net(x)
        torch.testing.assert_close(y, extract(net, architecture, calibration)(x), rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize(("name", "size"), [("mobilenetv3_small_100", 32), ("vit_tiny_patch16_224", 32)])
def test_its_file_computes_the_same(name: str, size: int) -> None:
    """In float, in 8 bits and mixed; on the kernels that were meant."""
    module, (x,) = made(name, size, count=4)
    net = wrap(module, x)
    ends = [net.space.extreme(max, precision) for precision in ("float", "w8a8")]
    compared = off = 0
    for architecture in [*ends, *net.space.sample_many(1, generator(0, "test.timm.file"))]:
        plain = extract(net, architecture, net.calibrate(architecture, [x]))
        assert backend.OnnxRuntime().audited(export.onnx(plain), plain.layers)[1] == []
        found = compare(plain, (x,))
        compared, off = compared + found[0], off + found[1]
    assert off <= 0.001 * compared


def test_heads_and_mlp_of_a_vision_transformer_are_elastic() -> None:
    """Each by itself, and depth."""
    module, (x,) = made("vit_tiny_patch16_224", 32)
    choices = {c.name: c.values for c in wrap(module, x).space.choices}
    assert choices["blocks.depth"] == (6, 9, 12)
    assert choices["blocks.0.attn.qkv.heads"] == (1, 2, 3)
    assert choices["blocks.0.mlp.fc1.width"] == (192, 384, 576, 768)
    assert choices["patch_embed.proj.width"] == (48, 96, 144, 192)
