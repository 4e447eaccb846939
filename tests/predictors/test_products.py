"""Linear layers in few bits on torch's own products of matrices: the numbers, the operator, and what is refused."""

from __future__ import annotations

import io
from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st
from torch import Tensor

from predictors.latency import Table, Timing, fit_whole, networks_to_time
from predictors.latency.backends import Backend, NoBackend, backend
from predictors.latency.backends.products import Floats8, Form, Integers, Packed4, Shapes, forms
from predictors.latency.backends.torch import Torch
from predictors.latency.key import LayerKey
from predictors.latency.menu import menu_of
from predictors.latency.plan import keys_of
from predictors.latency.target import Target
from spaces import QuantSpec
from spaces.precision import parse
from supernets import extract
from supernets.plain import Grid, Network, Quantized, Simulated
from supernets.plain.fresh import fresh
from supernets.quantization import ElasticQuantizer
from tests.examples import space_of
from tests.predictors.networks import CHAIN, VIT
from tests.subnets import calibrated, randomised

KINDS = [
    ("torch", "f32", "w8a8"),
    ("reference", "f32", "w8-e4m3/a8-e4m3"),
    ("reference", "f32", "w8-e4m3-tensor-absmax/a8-e4m3-absmax"),
    ("reference", "bf16", "w8-e4m3/a8-e4m3"),
    ("torch", "bf16", "w4-group32/float"),
    ("cuda", "f32", "w8a8"),
    ("cuda", "f32", "w8-e4m3/a8-e4m3"),
    ("cuda", "bf16", "w4-group32/float"),
    ("cuda_inductor", "f32", "w8a8"),
    ("cuda_inductor", "bf16", "w4-group32/float"),
]


class Reference(Torch):
    """With E4M3, which processors have a slow operator of."""

    @property
    def forms(self) -> Mapping[str, Form]:
        return forms(self.floats, Form("_int_mm", Integers), Form("_scaled_mm", Floats8), None)


def kernels(name: str, floats: str, precision: str) -> Backend:
    """The backend, if it is here and has a kernel for linear layers of this precision."""
    if name == "reference":
        return Reference(floats)
    try:
        found = backend(name, floats)
    except NoBackend as error:
        pytest.skip(str(error).splitlines()[0])
    if parse(precision).kernel not in found.menu("linear"):
        pytest.skip(f"the device has no {precision}")
    return found


def extracted(precision: str, batch: int = 2) -> tuple[Network, Tensor]:
    """The largest transformer with every linear layer in this precision, and examples."""
    space = space_of(VIT.format("w8a8" if precision == "float" else precision))
    net, architecture = randomised(space), space.extreme(max, precision)
    network = extract(net, architecture, calibrated(net, architecture))
    return network.eval(), torch.randn(batch, 3, 16, 16, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize(("name", "floats", "precision"), KINDS)
def test_a_network_of_products_is_the_extracted_one(name: str, floats: str, precision: str) -> None:
    """In the file's numbers; by the audit on the operator that the menu names; and not on floats."""
    runtime = kernels(name, floats, precision)
    network, x = extracted(precision)
    model = runtime.exported(network, len(x))
    with torch.no_grad():
        expected = network(x)
    found = torch.from_numpy(runtime.evaluate(model, x.numpy(), 1))
    assert (found - expected).norm() <= (0.03 if floats == "bf16" else 0.003) * expected.norm()
    audit, wrong = runtime.audited(model, network.layers)
    assert wrong == []
    kernel = runtime.menu("linear")[parse(precision).kernel]
    inner = [y for y in network.layers if y.kind == "linear" and y.precision.quantized]
    assert len(inner) > 4
    assert {audit.layers[y.path] for y in inner} == {kernel.operator}
    assert (kernel.form, kernel.executed_as) == ("real", parse(precision).kernel)
    plain = [replace(y, precision=parse("float"), runs8=False) for y in network.layers]
    wrong = runtime.audited(model, plain)[1]
    assert wrong == [f"{y.path}: meant for floats, runs as {kernel.operator}" for y in inner]
    assert runtime.weight_bits(model, inner[0].path, 1) == (8 if precision == "w8a8" else 0)


def test_a_layer_of_floats_where_a_product_is_meant_is_found_out() -> None:
    """Whichever it is."""
    runtime = kernels("reference", "f32", "w8-e4m3/a8-e4m3")
    network, _ = extracted("float")
    meant = [replace(y, precision=parse("w8-e4m3/a8-e4m3")) if y.kind == "linear" else y for y in network.layers]
    wrong = runtime.audited(runtime.exported(network), meant)[1]
    assert wrong == [f"{y.path}: meant for _scaled_mm, runs as linear f32" for y in meant if y.kind == "linear"]


def test_only_linear_layers_have_products() -> None:
    """So a space of convolutions is left with floats; in bf16 integers do not go, as their values would not."""
    menu = menu_of(Target("torch"))
    assert {o: "w8a8" in forms for o, forms in menu.forms.items()} == {o: o == "linear" for o in menu.forms}
    in_bf16 = menu_of(Target("torch", floats="bf16")).forms["linear"]
    assert "w8a8" not in in_bf16
    assert "w4-group64/float" in in_bf16
    assert "w4-group64/float" not in menu.forms["linear"]
    left = space_of(CHAIN).restrict(menu)
    layers = left.outline.layers(left.extreme(max, "w8a8"))
    assert {y.kind for y in layers if y.precision.name == "w8a8"} == {"linear"}


def test_the_latency_of_products_is_that_of_their_format() -> None:
    """Keys and factors of their own, and networks that are all in one precision among those to time."""
    space = space_of(VIT.format("w8a8, w4-group32-absmax/float"))
    target = Target("torch", floats="bf16")
    found = space.restrict(menu_of(target))
    kernels = sorted(set(target.menu.values()), reverse=True)
    networks = networks_to_time(found, 0, 4, 3, 2, kernels)
    weights = {key.weight for key in keys_of(found.batch(networks), target) if isinstance(key, LayerKey)}
    assert weights == {"f32", "w4g32"}
    packed = [a for a in networks if "float" not in {v for k, v in a.items() if k.endswith("precision")}]
    assert len(packed) >= 3
    times = {a.to_json(): Timing(float(i + 1), float(i + 1), 0.0, 15) for i, a in enumerate(networks)}
    model = fit_whole(found, Table({}, 0.0, {}, times), target.menu, 1, networks)
    assert any(name.startswith("linear f32 w4g32, ") for name in model.columns)


@settings(deadline=None, max_examples=60)
@given(
    rows=st.integers(1, 20), k=st.integers(1, 40), n=st.integers(1, 40), zero=st.integers(0, 255),
    least=st.integers(1, 33), seed=st.integers(0, 9),
)  # fmt: skip
def test_integers_are_exact_for_any_shape(rows: int, k: int, n: int, zero: int, least: int, seed: int) -> None:
    """Whatever is filled up, and wherever zero lies."""
    draw = torch.Generator().manual_seed(seed)
    grid = Grid(torch.tensor(0.03), torch.tensor(zero))
    codes, scale = torch.randint(-127, 128, (n, k), generator=draw), torch.rand(n, generator=draw) / 100 + 1e-3
    layer = Quantized(codes, scale, torch.randn(n, generator=draw), grid.scale, 8, 1, "here")
    x = grid(torch.randn(rows, k, generator=draw))
    product = Integers(layer, grid, Shapes(rows=least, inputs=8, outputs=8))
    torch.testing.assert_close(product(x), layer(x), rtol=1e-5, atol=1e-6)
    assert product.codes.shape == (n + -n % 8, k + -k % 8)


@settings(deadline=None, max_examples=40)
@given(rows=st.integers(1, 9), groups=st.integers(1, 3), n=st.integers(1, 40), seed=st.integers(0, 9))
@example(rows=2, groups=1, n=1, seed=0)
def test_simulated_layers_are_what_products_compute(rows: int, groups: int, n: int, seed: int) -> None:
    """E4M3 but for rounding of sums, also where values are too large; four bits but for bf16's rounding."""
    draw = torch.Generator().manual_seed(seed)
    x = torch.randn(rows, 32 * groups, generator=draw)
    x[0, 0] = 1e4
    eight = simulated("w8-e4m3/a8-e4m3", 32 * groups, n, draw)
    torch.testing.assert_close(Floats8(eight, None, Shapes(inputs=16, outputs=16))(x), eight(x), rtol=1e-4, atol=1e-3)
    x[0, 0] = 1
    four = simulated("w4-group32/float", 32 * groups, n, draw)
    bias = four(torch.zeros(1, 32 * groups))
    weight = four(torch.eye(32 * groups)) - bias
    most = 0.01 * (x.abs() @ weight.abs() + bias.abs())  # of what is summed, which may cancel
    assert torch.all((Packed4(four, None, Shapes(outputs=16))(x) - four(x)).abs() <= most)


def simulated(name: str, k: int, n: int, draw: torch.Generator) -> Simulated:
    """A linear layer of random weights in this precision, an input step of 0.01, and a factor of its own."""
    space = space_of(VIT.format("w8a8"))
    one = next(y for y in space.outline.layers(space.largest) if y.kind == "linear")
    spec: QuantSpec | None = parse(name).weight
    assert spec is not None
    module = fresh(replace(one, c_in=k, c_out=n, precision=parse(name)), True, {})
    assert isinstance(module, Simulated)
    codes = ElasticQuantizer("weight", [spec], (n, k)).eval().codes(torch.randn(n, k, generator=draw), spec)
    module.codes.copy_(codes.codes)
    module.scale.copy_(codes.scale)
    module.factor.copy_(torch.rand(n, generator=draw) + 0.5)
    if module.bias is not None:
        module.bias.normal_(generator=draw)
    if module.input_scale is not None:
        module.input_scale.fill_(0.01)
    return module


def test_a_file_holds_codes_and_no_float_weights() -> None:
    """One byte per weight of eight bits, half of one of four."""
    sizes = {}
    for name, floats, precision in (KINDS[0], KINDS[1], KINDS[4]):
        network, _ = extracted(precision)
        loaded = torch.export.load(io.BytesIO(kernels(name, floats, precision).exported(network)))
        held = {key: value for key, value in loaded.state_dict.items() if key.endswith("codes")}
        quantized = [y for y in network.layers if y.precision.quantized]
        assert len(held) == len(quantized)
        sizes[precision] = sum(value.nbytes for value in held.values())
        assert not [
            key for key in loaded.state_dict if any(y.path.replace(".", "/") + ".weight" in key for y in quantized)
        ]
    weights = sum(y.c_in * y.c_out for y in quantized)
    assert sizes["w8a8"] == sizes["w8-e4m3/a8-e4m3"] == weights
    assert weights / 2 <= sizes["w4-group32/float"] <= weights / 2 + 6 * 160


def test_a_bias_beyond_32_bits_is_refused_by_name() -> None:
    """The shift of the input is added to it."""
    runtime = kernels("torch", "f32", "w8a8")
    network, _ = extracted("w8a8")
    path = next(y.path for y in network.layers if y.precision.quantized)
    network.module(path).get_buffer("bias").fill_(2**31 - 1)
    network.module(path).get_buffer("codes").fill_(127)
    network.grid(next(y.inputs[0] for y in network.layers if y.path == path)).zero_point.fill_(0)
    with pytest.raises(ValueError, match=rf"\A{path}: its bias does not fit 32 bits of the layer's step\Z"):
        runtime.exported(network)


def test_a_form_is_of_given_shapes() -> None:
    """What is added is zero, or the code of zero."""
    shapes = Shapes(rows=17, inputs=8, outputs=8)
    assert Form("_int_mm", Integers).shapes == Shapes()
    weight = shapes.filled(torch.ones(3, 5), value=8)
    assert weight.shape == (8, 8)
    assert np.unique(weight[3:].numpy()).tolist() == [8]
    assert shapes.rows_of(torch.ones(2, 5)).shape == (17, 8)
    assert float(shapes.rows_of(torch.ones(2, 5)).sum()) == 10
