"""One function, three forms: supernet slice, extracted network and ONNX file, over many architectures.

The bounds are those of the design: float networks as ``assert_close`` says; quantized ones layer by layer on equal
inputs, at most one step in at most 0.1 % of the elements; equal codes; predictions that agree.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper
from torch import Tensor
from torch.testing import assert_close

from predictors.latency.backends import onnxruntime as backend
from spaces import INPUT, Architecture, Layer, Space
from spaces.outline import WEIGHTED
from spaces.randomness import generator
from supernets import Calibration, Network, Quantized, Supernet, export, extract
from supernets.graph import stored8
from supernets.quantization import weight_codes
from tests.examples import PLAIN, RESIDUAL, space_of, with_precision
from tests.subnets import Toy, calibrated, images, randomised

BOTH = pytest.mark.parametrize("text", [PLAIN, RESIDUAL], ids=["plain", "residual"])
PRECISIONS = ("float", "w8a8", "w4a8")


def drawn(space: Space, count: int) -> list[Architecture]:
    """Architectures of all depths, in turn three in one precision throughout and three mixed."""
    some = space.sample_many(count, generator(0, "test"), by_choice=True)
    return [with_precision(space, a, PRECISIONS[i % 6]) if i % 6 < 3 else a for i, a in enumerate(some)]


@dataclass
class Forms:
    """The three forms of one subnet."""

    net: Supernet
    architecture: Architecture
    calibration: Calibration

    @cached_property
    def plain(self) -> Network:
        """The extracted network."""
        return extract(self.net, self.architecture, self.calibration)

    def supernet(self, x: Tensor) -> Tensor:
        """Logits of the slice."""
        with torch.no_grad(), self.net.active(self.architecture, self.calibration):
            y: Tensor = self.net(x)
            return y

    def extracted(self, x: Tensor) -> Tensor:
        """Logits of the extracted network."""
        with torch.no_grad():
            y: Tensor = self.plain(x)
            return y

    def file(self, x: Tensor) -> Tensor:
        """Logits of the file."""
        return torch.from_numpy(backend.evaluate(export.onnx(self.plain, len(x)), x.numpy()))

    def tensors(self, x: Tensor) -> dict[str, Tensor]:
        """Every tensor that the file computes, as the values its readers see."""
        model = onnx.load_from_string(export.onnx(self.plain, len(x)))
        kept = set(stored8(self.plain.layers))
        names = [f"{name}:q" for name in kept] + [y.path for y in self.plain.layers[:-1] if y.path not in kept]
        for name in names:
            dtype = TensorProto.UINT8 if name.endswith(":q") else TensorProto.FLOAT
            model.graph.output.append(helper.make_tensor_value_info(name, dtype, None))
        session: Any = backend.session(model.SerializeToString())
        results = dict(zip((o.name for o in session.get_outputs()), session.run(None, {INPUT: x.numpy()}), strict=True))
        values = {INPUT: x}
        for name, array in results.items():
            tensor = torch.from_numpy(array.astype(np.float32))
            if name.endswith(":q"):
                name = name.removesuffix(":q")
                grid = self.plain.grid(name)
                tensor = (tensor - grid.zero_point) * grid.scale
            values[name] = tensor
        return values

    def one_layer(self, layer: Layer, inputs: list[Tensor]) -> tuple[Tensor, Tensor]:
        """What supernet and extracted network make of these inputs in one layer, before it is stored."""
        if layer.kind == "add":
            pair = (inputs[0] + inputs[1],) * 2
        elif layer.kind == "pool":
            pair = (inputs[0].mean(dim=(2, 3)),) * 2
        else:
            x = inputs[0].flatten(1) if layer.kind == "linear" else inputs[0]
            with torch.no_grad(), self.net.active(self.architecture, self.calibration):
                pair = self.net.computed(layer, x), self.plain.module(layer.path)(x)
        return (pair[0].relu(), pair[1].relu()) if layer.activation == "relu" else pair


# --- float networks ---------------------------------------------------------------------------------------------------


@BOTH
def test_float_networks_agree(text: str) -> None:
    net = randomised(space_of(text))
    x = images(net.space, 16, seed=3)
    for architecture in drawn(net.space, 24)[::6]:
        forms = Forms(net, architecture, calibrated(net, architecture))
        expected = forms.supernet(x)
        assert_close(forms.extracted(x), expected, rtol=1e-4, atol=1e-5)
        assert_close(forms.file(x), expected, rtol=1e-4, atol=1e-5)


@BOTH
def test_float_networks_agree_to_1e_9_in_double_precision(text: str) -> None:
    """What is left in single precision is rounding, and no difference of the formulas."""
    net = randomised(space_of(text)).double()
    x = images(net.space, 8, seed=3).double()
    for architecture in drawn(net.space, 24)[::6]:
        calibration = net.calibrate(architecture, images(net.space, 64, seed=1).double().chunk(4))
        forms = Forms(net, architecture, calibration)
        assert_close(forms.extracted(x), forms.supernet(x), rtol=1e-9, atol=1e-9)


# --- quantized networks -----------------------------------------------------------------------------------------------


@dataclass
class Count:
    """Elements compared, and those that differ by one step."""

    compared: int = 0
    off: int = 0

    def add(self, a: Tensor, b: Tensor, scale: Tensor) -> None:
        """Compare two tensors on a grid. Fails where they differ by more than one step."""
        steps = ((a - b) / scale).round().abs()
        assert int(steps.max()) <= 1
        self.compared += steps.numel()
        self.off += int((steps > 0).sum())


def compare(net: Supernet, count: int) -> dict[str, Count]:
    """Per precision and pair of forms, every layer on the inputs that the file's layer had."""
    found: dict[str, Count] = {}
    x = images(net.space, 32, seed=3)
    for architecture in drawn(net.space, count):
        forms = Forms(net, architecture, calibrated(net, architecture))
        values = forms.tensors(x)
        kept = set(stored8(forms.plain.layers))
        for y in forms.plain.layers:
            in_supernet, extracted = forms.one_layer(y, [values[name] for name in y.inputs])
            in_file = values[y.path].reshape(extracted.shape)
            if y.path in kept:
                grid = forms.plain.grid(y.path)
                with torch.no_grad():
                    in_supernet, extracted = grid(in_supernet), grid(extracted)
                name = y.precision.name if y.kind in WEIGHTED else y.kind
                found.setdefault(f"{name} supernet", Count()).add(in_supernet, extracted, grid.scale)
                found.setdefault(f"{name} file", Count()).add(in_file, extracted, grid.scale)
            else:
                assert_close(in_supernet, extracted, rtol=1e-4, atol=1e-5)
                assert_close(in_file, extracted, rtol=1e-4, atol=1e-5)
    return found


@BOTH
def test_layers_fed_the_same_differ_by_a_step_in_one_element_of_a_thousand(text: str) -> None:
    """Also where few inputs and 4-bit weights make the steps of a bias coarse: the supernet rounds it as well."""
    found = compare(randomised(space_of(text)), 18)
    kinds = {*PRECISIONS, "pool", *(["add"] if text == RESIDUAL else [])}
    assert set(found) == {f"{kind} {form}" for kind in kinds for form in ("supernet", "file")}
    for name, counted in found.items():
        assert counted.off <= 0.001 * counted.compared, (name, counted)


def test_layers_of_a_trained_network_agree_alike(trained: Supernet) -> None:
    for name, counted in compare(trained, 12).items():
        assert counted.off <= 0.001 * counted.compared, (name, counted)


def test_predictions_agree(trained: Supernet) -> None:
    """On images of the task, in at least 99.5 % for each pair of forms."""
    toy = Toy(trained.space)
    x, _ = toy.draw(400, seed=12345)
    for architecture in drawn(trained.space, 12):
        forms = Forms(trained, architecture, trained.calibrate(architecture, toy.calibration()))
        classes = [logits.argmax(dim=1) for logits in (forms.supernet(x), forms.extracted(x), forms.file(x))]
        for other in classes[1:]:
            assert float((other == classes[0]).float().mean()) >= 0.995


def initialisers(model: onnx.ModelProto) -> dict[str, onnx.TensorProto]:
    """By name."""
    return {i.name: i for i in model.graph.initializer}


@BOTH
def test_weight_codes_are_bit_identical_in_all_three_forms(text: str) -> None:
    """4-bit ones are stored in 4 bits; an odd number of them fills the last byte with a zero."""
    net = randomised(space_of(text))
    seen = set()
    for architecture in drawn(net.space, 12):
        forms = Forms(net, architecture, calibrated(net, architecture))
        stored = initialisers(onnx.load_from_string(export.onnx(forms.plain)))
        for layer in forms.plain.layers:
            if layer.kind not in WEIGHTED:
                continue
            weight, spec = stored[f"{layer.path}.weight"], layer.precision.weight
            if spec is None:
                assert weight.data_type == TensorProto.FLOAT
                continue
            module = forms.plain.module(layer.path)
            assert isinstance(module, Quantized)
            codes, _ = weight_codes(net.layer(layer.path).active(layer), spec)
            assert torch.equal(codes, module.codes.float())
            assert np.array_equal(numpy_helper.to_array(weight).astype(np.int8), module.codes.numpy())
            assert weight.data_type == {8: TensorProto.INT8, 4: TensorProto.INT4}[spec.bits]
            assert len(weight.raw_data) == -(-module.codes.numel() * spec.bits // 8)
            bias = stored[f"{layer.path}.bias"]
            assert bias.data_type == TensorProto.INT32
            assert np.array_equal(numpy_helper.to_array(bias), module.bias.numpy())
            seen.add((spec.bits, module.codes.numel() % 2))
    assert seen >= {(4, 0), (8, 0), (8, 1)}


def test_an_odd_number_of_nibbles_survives_the_file() -> None:
    text = "model: {family: convnet, input: [1, 4, 4], classes: 3, stages: [{width: 3}]}\nprecision: w4a8"
    net = randomised(space_of(text))
    forms = Forms(net, net.space.largest, calibrated(net, net.space.largest))
    stored = initialisers(onnx.load_from_string(export.onnx(forms.plain)))
    for path, count in (("stages.0.0.conv", 27), ("classifier", 9)):
        module = forms.plain.module(path)
        assert isinstance(module, Quantized)
        assert module.codes.numel() == count
        assert np.array_equal(numpy_helper.to_array(stored[f"{path}.weight"]).astype(np.int8), module.codes.numpy())
    x = images(net.space, 8)
    assert_close(forms.file(x), forms.extracted(x), rtol=1e-4, atol=1e-5)
