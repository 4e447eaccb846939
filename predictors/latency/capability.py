"""What a backend really does with a precision: tried on small layers, not looked up.

Each operator in each precision is quantized, exported and run. Its numbers are compared with those of the float layer,
its kernel is read from the graph that the session runs, and it is timed beside the float layer.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial

import torch
from torch import Tensor, nn

from predictors.latency.backends import Backend
from predictors.latency.probe import measure
from predictors.latency.target import Target
from spaces import INPUT, Layer
from spaces.precision import FLOAT, parse
from supernets import export
from supernets.plain import Grid, Network, Quantized, Simulated
from supernets.plain.fresh import fresh
from supernets.quantization import ElasticQuantizer

PRECISIONS = ("float", "w8a8", "w4a8", "w2a8", "w6a8", "w3a8", "w8a4", "w4a4")
"""And those that only a backend's menu has."""
_STORES = frozenset({"conv"})  # kinds whose integer kernels give 8 bits only
_PATH = "layer"
_STEPS = 255
_MOST_NOISE = 2.0  # times what rounding explains
_FLOAT_NOISE = {"f32": 1e-5, "bf16": 2**-9}  # half a step of values near 1


@dataclass(frozen=True)
class Capability:
    """``form``: ``real`` (a kernel of its own), ``container`` (stored small, run as ``executed_as``) or ``simulated``.

    ``kernel``: the node that runs; ``speed``: the float layer's time over this one's; ``error``: relative to the float
    layer's output (root mean square). Empty or 0 where nothing ran.
    """

    operator: str
    precision: str
    form: str
    executed_as: str
    reason: str
    kernel: str = ""
    speed: float = 0.0
    error: float = 0.0


def _layer(kind: str, c_in: int, size: int, kernel: int = 1, groups: int = 1) -> Layer:
    return Layer(
        path=_PATH, kind=kind, inputs=(INPUT,), c_in=c_in, c_out=c_in, kernel=kernel, stride=1, groups=groups, h=size,
        w=size, out_h=size, out_w=size, norm=False, activation="none", precision=FLOAT, runs8=False, in8=False,
        out8=False,
    )  # fmt: skip


OPERATORS: Mapping[str, Layer] = {
    "conv 3x3": _layer("conv", 64, 28, 3),
    "conv 1x1": _layer("conv", 128, 28),
    "conv 3x3 depthwise": _layer("conv", 96, 28, 3, 96),
    "linear": _layer("linear", 1024, 1),
}


@dataclass(frozen=True)
class _Tried:
    model: bytes
    kernel: str
    executed_as: str
    error: float
    expected: float


def capabilities(target: Target | None = None, precisions: Sequence[str] = ()) -> list[Capability]:
    """Every operator in every precision, by default ``PRECISIONS`` and what else is on its menu. ``float`` has to be
    the first of them: it is what speeds refer to."""
    target = target or Target()
    runtime, threads = target.runtime, target.threads
    tried: dict[tuple[str, str], _Tried | str] = {}
    for operator, layer in OPERATORS.items():
        for precision in precisions or dict.fromkeys([*PRECISIONS, *runtime.menu(operator)]):
            try:
                tried[operator, precision] = _try(layer, precision, runtime, threads)
            except export.NotExportable as error:
                tried[operator, precision] = str(error).removeprefix(f"{_PATH}: ")
    ran = {place: found for place, found in tried.items() if isinstance(found, _Tried)}
    makes = [partial(runtime.prepared, found.model, threads) for found in ran.values()]
    times = dict(zip(ran, [t.ms for t in measure(makes, [], clock=runtime.clock(threads))], strict=True))
    made = []
    for (operator, precision), found in tried.items():
        if isinstance(found, str):
            made.append(Capability(operator, precision, "simulated", "", found))
        else:
            speed = times[operator, "float"] / times[operator, precision]
            made.append(_judged(operator, precision, found, speed))
    return made


def _judged(operator: str, precision: str, found: _Tried, speed: float) -> Capability:
    form, reason = "real", ""
    if found.error > _MOST_NOISE * found.expected:
        form, reason = "simulated", f"wrong by {found.error:.2g}, rounding explains {found.expected:.2g}"
    elif found.executed_as == "float" != precision:
        form, reason = "simulated", f"runs in floats, as {found.kernel}"
    elif found.executed_as != precision:
        form, reason = "container", f"runs as {found.executed_as}"
    if form != "simulated" and speed < 1 and precision != "float":
        reason += f"{', ' if reason else ''}slower than float"
    return Capability(operator, precision, form, found.executed_as, reason, found.kernel, speed, found.error)


def _try(layer: Layer, name: str, runtime: Backend, threads: int) -> _Tried:
    """Raises :class:`NotExportable`."""
    precision = parse(name)
    quantized = precision.integer
    float_module = _float(layer)
    stored = quantized and layer.kind in _STORES
    y = replace(layer, precision=precision, runs8=quantized, in8=quantized, out8=stored)
    x = _input(layer)
    with torch.no_grad():
        truth = float_module(x.flatten(1) if layer.kind == "linear" else x)
    module: nn.Module = float_module
    grids: dict[str, Grid] = {}
    expected = _FLOAT_NOISE[runtime.floats]
    if quantized:
        grids[INPUT], noise = _grid(x)
        module, expected = _quantized(y, float_module, grids[INPUT], noise)
    elif precision.quantized:
        module = _simulated(y, float_module, x)
        with torch.no_grad():
            found = module(x.flatten(1) if layer.kind == "linear" else x)
        expected = max(expected, float((found - truth).norm() / truth.norm()))
    if stored:
        grids[_PATH], noise = _grid(truth)
        expected = math.hypot(expected, noise)
    network = Network([y], {_PATH: module}, grids, (layer.c_in, layer.h, layer.w)).eval()
    model = runtime.exported(network)
    ran = torch.from_numpy(runtime.evaluate(model, x.numpy(), threads))
    error = float((ran - truth).norm() / truth.norm())
    audit, _ = runtime.audited(model, [y], threads)
    kernel = audit.layers.get(_PATH, "none")
    integer, meant = not audit.unintended({_PATH: True}), runtime.kernel(y)
    executed = f"w{runtime.weight_bits(model, _PATH, threads)}a8" if integer else "float"
    if meant is not None and meant.operator == kernel:
        executed = meant.executed_as
    return _Tried(model, kernel, executed, error, expected)


def _grid(x: Tensor) -> tuple[Grid, float]:
    """(8 bits from the smallest to the largest value, the error relative to ``x`` that rounding to them makes)."""
    step = (x.max() - x.min()) / _STEPS
    return Grid(step, torch.round(-x.min() / step)), float(step / x.square().mean().sqrt()) / math.sqrt(12)


def _quantized(layer: Layer, module: nn.Conv2d | nn.Linear, grid: Grid, noise: float) -> tuple[nn.Module, float]:
    """(the layer of codes, the error relative to its output that rounding makes, that of its input being ``noise``)."""
    made = fresh(layer, True, {})
    if not isinstance(made, Quantized):
        return made, 1.0
    weight = module.weight.detach()
    flat = weight.reshape(len(weight), -1)
    scale = flat.abs().amax(dim=1) / (2 ** (made.bits - 1) - 1)
    made.codes.copy_(torch.round(flat / scale[:, None]).reshape(weight.shape).to(torch.int8))
    made.scale.copy_(scale)
    made.input_scale.copy_(grid.scale)
    return made, math.hypot(noise, float((scale.square().mean() / flat.square().mean()).sqrt()) / math.sqrt(12))


def _simulated(layer: Layer, module: nn.Conv2d | nn.Linear, x: Tensor) -> nn.Module:
    """The layer of codes that no integer kernel computes: it says itself what rounding makes."""
    made, weight, given = fresh(layer, True, {}), layer.precision.weight, layer.precision.input
    assert isinstance(made, Simulated)
    if weight is not None:
        codes = ElasticQuantizer("weight", [weight], module.weight.shape).eval().codes(module.weight.detach(), weight)
        made.codes.copy_(codes.codes)
        made.scale.copy_(codes.scale)
    if given is not None and made.input_scale is not None:
        made.input_scale.copy_(ElasticQuantizer("input").eval().grid(x, given)[0])
    return made


def _float(layer: Layer) -> nn.Conv2d | nn.Linear:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        module = fresh(layer, True, {})
        assert isinstance(module, nn.Conv2d | nn.Linear)
        nn.init.normal_(module.weight)
        if module.bias is not None:
            nn.init.zeros_(module.bias)
    return module


def _input(layer: Layer) -> Tensor:
    generator = torch.Generator().manual_seed(0)
    return torch.randn(1, layer.c_in, layer.h, layer.w, generator=generator)
