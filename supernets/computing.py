"""One forward pass of a supernet: which values its layers read and leave, in training, calibration and evaluation."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, TypeVar, cast

import torch
from torch import Tensor

from spaces import Layer, QuantSpec
from supernets.elastic import ElasticWeighted
from supernets.functions import ACTIVATIONS
from supernets.graph import SUM, as_read, plain, run
from supernets.quantization import (
    ACTIVATION,
    TOPS,
    activated,
    bias_steps,
    clipped_norms,
    features_last,
    norms,
    quantize_activated,
    quantize_activation,
    quantize_dynamic,
)
from supernets.quantization.straight import Clip
from supernets.selection import Calibration, Selection

if TYPE_CHECKING:
    from supernets.build import Supernet

Kept = TypeVar("Kept", bound=Tensor | None)


class Pass:
    """The layers of ``selection``, computed with the weights of ``net``; of one forward pass, as it keeps what is read
    twice."""

    def __init__(self, net: Supernet, selection: Selection) -> None:
        self.net, self.selection = net, selection
        self._narrow: dict[tuple[str, QuantSpec, torch.Size], Tensor] = {}  # inputs in fewer bits than 8
        self._rounded_before: set[str] = set()  # layers whose input is rounded already

    def run(self, inputs: Sequence[Tensor]) -> Tensor:
        """The output; see :func:`supernets.graph.run`."""
        return run(self.selection.program, inputs, self._weighted, self._store, self._finish)

    def computed(self, layer: Layer, x: Tensor) -> Tensor:
        """What a layer makes of its input ``x``, up to its activation function."""
        y = self._weighted(layer, x)
        return self._normalised(self.net.weighted(layer.path), layer, y) if layer.kind == "conv" else y

    def _weighted(self, layer: Layer, x: Tensor) -> Tensor:
        """What the layer computes, up to its activation function; of a convolution, whose norm may be computed with
        what follows it, up to its norm."""
        module = self.net.layer(layer.path)
        if not isinstance(module, ElasticWeighted):
            return module(x, layer)  # type: ignore[no-any-return]
        shares, once = self.selection.routing.get(layer.path), partial(self._once, (layer.path, "weight"))
        y = module.linear_part(self._read(module, layer, x), layer, shares, once)
        return y if layer.kind == "conv" else self._normalised(module, layer, y)

    def _read(self, module: ElasticWeighted, layer: Layer, x: Tensor) -> Tensor:
        """``x`` in as few bits as the layer takes, stored in 8; or as a layer that no integer kernel runs rounds it."""
        spec, calibration = layer.precision.input, self.selection.calibration
        if spec is None or layer.path in self._rounded_before:
            return x
        if not layer.precision.integer:
            return self._rounded(module, layer, x, spec)
        if spec.bits == self._stored_as(layer.inputs[0]).bits:
            return x
        if calibration is not None:
            return quantize_activation(x, *calibration.input_grid(layer), spec)
        key = (layer.inputs[0], spec, x.shape)  # a second reader takes what the first one rounded
        if key not in self._narrow:
            self._narrow[key] = quantize_dynamic(x, spec, self.net.kernels)[0]
        return self._narrow[key]

    def _rounded(self, module: ElasticWeighted, layer: Layer, x: Tensor, spec: QuantSpec) -> Tensor:
        """``x`` on a grid of the layer's own: the calibration's where one is for all inputs, else that of the batch."""
        quantizer, calibration, records = module.input_quantizer, self.selection.calibration, self.selection.records
        if calibration is not None and layer.path in calibration.inputs:
            return quantizer.on(x, calibration.inputs[layer.path], spec)
        given = features_last(x, layer.kind)
        grid = quantizer.grid(given, spec)
        if records is not None and spec.granularity == "tensor":
            records.add_grid(layer.path, grid, len(x))
        return quantizer.on(given, grid, spec, draws=self.net.draws).reshape(x.shape)

    def _once(self, name: tuple[str, str], make: Callable[[], Kept]) -> Kept:
        """What is made here, or was made in a pass before with the same weights."""
        kept = self.selection.kept
        if kept is None or torch.is_grad_enabled():
            return make()
        if name not in kept:
            kept[name] = make()
        return cast(Kept, kept[name])

    @torch.no_grad()
    def _bias_rounding(self, module: ElasticWeighted, layer: Layer, calibration: Calibration) -> Tensor | None:
        """(c_out,) what a bias in whole steps, as an integer kernel adds it, differs by from the folded bias."""
        shares = self.selection.routing.get(layer.path)
        factor, bias = module.folded(layer, calibration.moments.get(layer.path), shares)
        if bias is None:
            return None
        scale, _ = calibration.input_grid(layer)
        step = module.codes(layer, shares).scale * factor * scale
        return (bias_steps(bias, step) * step - bias).to(bias.dtype)

    @property
    def _training(self) -> bool:
        """Whether statistics are those of the batch and nobody records them."""
        return self.selection.calibration is None and self.selection.records is None

    def _stored_as(self, name: str) -> QuantSpec:
        """How a tensor is stored: in 8 bits, but in training at once in the fewer that all its readers take."""
        return self.selection.program.narrow.get(name, ACTIVATION) if self._training else ACTIVATION

    def _finish(self, layer: Layer, y: Tensor) -> Tensor:
        """What readers see of what the layer computed: norm, sums in 8 bits, activation function, rounding."""
        together = self._training and norms.fits(y, self.net.kernels) and _has_own_norm(layer)
        clip = self._clip(layer, y) if together else None
        if clip is not None:
            affine, passes = self.net.weighted(layer.path).affine(layer), clipped_norms.compiled(layer.activation)
            return clipped_norms.normed(y, *affine, layer.activation, clip, passes)
        after = self._after(layer) if together else None
        if after is not None:
            y = norms.normed(y, *self.net.weighted(layer.path).affine(layer), after, norms.compiled(after))
            if _simple(layer):
                return y
        else:
            y = self._normalised(self.net.weighted(layer.path), layer, y) if layer.kind == "conv" else y
            y = self._store(layer.path + SUM, y, "none") if layer.sums8 else y
        return as_read(self.selection.program, layer, y, self._store, self._activated)

    def _clip(self, layer: Layer, x: Tensor) -> Clip | None:
        """How the one reader of the layer's output rounds it by learned steps, which it need not then, or ``None``."""
        reader = self.selection.program.alone.get(layer.path)
        if reader is None or layer.sums8 or not _simple(layer):
            return None
        spec = reader.precision.input
        assert spec is not None
        clip = self.net.weighted(reader.path).input_quantizer.clip(x, spec)
        self._rounded_before.update(() if clip is None else (reader.path,))
        return clip

    def _after(self, layer: Layer) -> norms.After | None:
        """What is computed together with the layer's norm; ``None`` if that would be nothing that makes it worth it."""
        program, simple = self.selection.program, _simple(layer)
        kept = layer.path in program.kept
        if not (layer.sums8 or (simple and (kept or layer.path in program.rounded))):
            return None
        return norms.After(layer.activation, layer.sums8, self._stored_as(layer.path) if kept and simple else None)

    def _normalised(self, module: ElasticWeighted, layer: Layer, y: Tensor) -> Tensor:
        """After the layer's norm, if it has one, and with the bias that an integer kernel adds."""
        calibration, records = self.selection.calibration, self.selection.records
        if module.norm is not None:
            moments = None if records is None else records.add_moments(layer.path, y)
            y = module.normalised(y, layer, calibration.moments[layer.path] if calibration else moments)
        if calibration is None or not layer.precision.integer:
            return y
        rounding = self._once((layer.path, "bias"), lambda: self._bias_rounding(module, layer, calibration))
        column = (-1, *[1] * (y.dim() - 2)) if layer.kind == "conv" else (-1,)
        return y if rounding is None else y + rounding.reshape(column)

    def _activated(self, layer: Layer, y: Tensor) -> Tensor:
        known = layer.path in self.selection.program.rounded
        return activated(y, layer.activation, self.net.kernels) if known else plain(layer, y)

    def _store(self, name: str, x: Tensor, activation: str) -> Tensor:
        spec = self._stored_as(name)
        if activation in TOPS and self._training:
            return quantize_activated(x, activation, spec, self.net.kernels)
        if activation != "none":
            x = ACTIVATIONS[activation](x)
        if self.selection.calibration is not None:
            return quantize_activation(x, *self.selection.calibration.grids[name])
        quantized, limits = quantize_dynamic(x, spec, self.net.kernels)
        if self.selection.records is not None:
            self.selection.records.add_range(name, limits, len(x))
        return quantized


def _simple(layer: Layer) -> bool:
    """Whether a norm can be computed together with the activation function after it."""
    return layer.activation == "none" or layer.activation in TOPS


def _has_own_norm(layer: Layer) -> bool:
    """Whether it is a convolution of ours with a batch norm."""
    return layer.kind == "conv" and layer.norm and layer.call is None
