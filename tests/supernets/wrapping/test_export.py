"""ONNX files of wrapped models: the function of the network, on the kernels that were meant."""

from __future__ import annotations

import re
from collections.abc import Mapping

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.testing import assert_close
from torch.utils._pytree import tree_leaves

from predictors.latency.backends import onnxruntime as backend
from spaces import Architecture
from spaces.randomness import generator
from supernets import export, extract, wrap
from supernets.graph import stored8
from supernets.wrapping import Wrapped
from tests.supernets.wrapping.forms import compare, ran
from tests.supernets.wrapping.models import MODELS, made
from tests.supernets.wrapping.test_operations import ELASTIC, KEPT, Function, Sandwich

Inputs = tuple[Tensor, ...]


@pytest.fixture(scope="module", params=sorted(MODELS))
def wrapped(request: pytest.FixtureRequest) -> tuple[Wrapped, Inputs]:
    """A model, wrapped, and its inputs."""
    module, inputs = made(request.param)
    return wrap(module, inputs, {"precision": ["float", "w8a8", "w4a8", "w2a8"]}), inputs


def drawn(net: Wrapped) -> list[Architecture]:
    """The ends in float and in 8 bits, and others of all precisions."""
    ends = [net.space.extreme(pick, precision) for pick in (min, max) for precision in ("float", "w8a8")]
    return [*ends, *net.space.sample_many(4, generator(0, "test.export"))]


def test_files_are_the_network_on_the_kernels_that_were_meant(wrapped: tuple[Wrapped, Inputs]) -> None:
    """Outputs of floats agree; of 8 bits each layer but for a step in one of a thousand; no layer runs otherwise."""
    net, inputs = wrapped
    compared = off = 0
    for architecture in drawn(net):
        plain = extract(net, architecture, net.calibrate(architecture, [inputs]))
        model = export.onnx(plain, len(inputs[0]))
        assert backend.OnnxRuntime().audited(model, plain.layers)[1] == []
        with torch.no_grad():
            expected = tree_leaves(plain(*inputs))
        if not stored8(plain.layers):
            for ours, theirs in zip(ran(model, inputs), expected, strict=True):
                assert_close(torch.from_numpy(ours), theirs, rtol=1e-4, atol=1e-5)
        found = compare(plain, inputs)
        compared, off = compared + found[0], off + found[1]
    assert compared > 0
    assert off <= 0.001 * compared, (compared, off)


OTHERS: Mapping[str, Function] = {
    **{name: getattr(torch, name) for name in ("abs", "neg", "exp", "sin", "cos", "tan", "floor", "round", "sign",
                                              "erf", "square", "expm1", "tanh", "sigmoid")},
    **{name: getattr(F, name) for name in ("celu", "elu", "gelu", "hardshrink", "hardsigmoid", "hardswish",
                                          "hardtanh", "leaky_relu", "logsigmoid", "mish", "relu", "relu6", "selu",
                                          "silu", "softplus", "softshrink")},
    "addcdiv": lambda x: torch.addcdiv(x, x, 2 + x.abs(), value=0.5),
    "batched": lambda x: torch.baddbmm(x[:, 0], x[:, 1], x[:, 2]),
    "causal": lambda x: F.scaled_dot_product_attention(x, x, x, is_causal=True),
    "clamp_max": lambda x: x.clamp(max=0.1),
    "compared": lambda x: torch.where((x > 0).logical_and(x <= 1).logical_or(x.ne(0.5)), x, x.isnan() + x),
    "divided": lambda x: (1 / (x.abs() + 1)).sqrt() - 3 * x.div(2),
    "exact": lambda x: F.interpolate(x, size=(4, 9), mode="nearest-exact"),
    "fmod": lambda x: torch.fmod(x, 0.3),
    "from_one_to_another": lambda x: torch.lerp(x, x * x, 0.25),
    "logarithms": lambda x: x.abs().add(0.1).log() + x.abs().log1p() + x.abs().add(1).log2(),
    "log_softmax": lambda x: x.log_softmax(1),
    "lower": lambda x: x.tril() + x.triu(1),
    "masked": lambda x: F.scaled_dot_product_attention(x, x, x, attn_mask=x > 0, scale=0.3),
    "max_of_two": lambda x: torch.maximum(x, -x) + torch.minimum(x, x * x),
    "mean_of_all_but_channels": lambda x: x - x.mean((0, 2, 3), keepdim=True)[:, :, :1],
    "norms": lambda x: x / (x.norm(dim=1, keepdim=True) + x.abs().sum(1, keepdim=True)),
    "pool_1": lambda x: F.max_pool1d(x.flatten(2), 4, 2).unsqueeze(2) + F.avg_pool1d(x.flatten(2), 4, 2)[:, :, None],
    "powers": lambda x: x.abs().pow(1.5) + x**2 + x.abs().add(1).rsqrt(),
    "product": lambda x: x * x.prod(3, keepdim=True) + x.amin(2, keepdim=True),
    "rms_norm": lambda x: F.rms_norm(x, (6,)),
    "reciprocal": lambda x: (x.abs() + 1).reciprocal(),
    "shifted": lambda x: torch.rsub(x, x.square(), alpha=2) + torch.sub(x, 3, alpha=2),
    "sigmoids_of_half": lambda x: F.gelu(x, approximate="tanh"),
    "whole_numbers": lambda x: x * (x > 0).to(torch.int64) + torch.remainder((x * 7).to(torch.int64), 3),
    "bicubic": lambda x: F.interpolate(x, scale_factor=2.0, mode="bicubic"),
    "corners": lambda x: F.interpolate(x, size=(9, 9), mode="bilinear", align_corners=True),
}  # fmt: skip
NO_FORM = "write it with other operations of torch, or leave it out of what is wrapped [not-exportable]"
REFUSED: Mapping[str, tuple[Function, str]] = {
    "argsort": (KEPT["argsort"], f"argsort: no ONNX form for aten.argsort.default: {NO_FORM}"),
    "unfold": (KEPT["unfold"], f"im2col: no ONNX form for aten.im2col.default: {NO_FORM}"),
    "odd_pool": (
        nn.AdaptiveAvgPool2d(4),
        "function.adaptive_avg_pool2d: aten.adaptive_avg_pool2d.default from (6, 6) to (4, 4) places has no ONNX form: "
        "use sizes that divide each other [not-exportable]",
    ),
}


class Every(nn.Module):
    """All of these functions of the channels of one convolution, beside each other."""

    def __init__(self, functions: Mapping[str, Function]) -> None:
        super().__init__()
        self.functions = functions
        self.parts = nn.ModuleDict({name: f for name, f in functions.items() if isinstance(f, nn.Module)})
        for parameter in self.parts.parameters():
            nn.init.normal_(parameter)

    def forward(self, x: Tensor) -> Tensor:
        """Every value of every one."""
        return torch.cat([f(x).flatten(1) for f in self.functions.values()], 1)


EVERY = {"elastic": ELASTIC, "kept": KEPT, "others": OTHERS}


@pytest.mark.parametrize("name", EVERY)
def test_every_operation_has_its_form(name: str) -> None:
    """Each layer of the file gives what torch gives, whatever the architecture; convolutions of all kinds in 8 bits."""
    torch.manual_seed(0)
    functions = {n: f for n, f in EVERY[name].items() if n not in REFUSED}
    module, x = Sandwich(Every(functions)).eval(), torch.randn(2, 3, 6, 6)
    net = wrap(module, x)
    for precision in ("float", "w8a8"):
        architecture = net.space.extreme(min, precision)
        plain = extract(net, architecture, net.calibrate(architecture, [x]))
        assert backend.OnnxRuntime().audited(export.onnx(plain, 2), plain.layers)[1] == []
        compared, off = compare(plain, (x,))
        assert off <= 0.001 * compared


@pytest.mark.parametrize("name", REFUSED)
def test_what_has_no_form_is_named(name: str) -> None:
    """The layer, the operation, what to do instead."""
    function, said = REFUSED[name]
    module, x = Sandwich(function).eval(), torch.randn(2, 3, 6, 6)
    net = wrap(module, x, {"precision": ["float"]})
    with pytest.raises(export.NotExportable, match=f"^{re.escape(said)}$"):
        export.onnx(extract(net, net.space.largest, net.calibration))
