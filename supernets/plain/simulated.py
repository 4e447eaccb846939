"""Layers of precisions that no integer kernel runs: codes of any format, computed in float."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from spaces import Layer
from supernets.functions.operations import operation
from supernets.quantization import Codes, ElasticQuantizer, decoded, features_last
from supernets.quantization.scales import Grid


class Simulated(nn.Module):
    """A conv or linear layer whose weight is codes, or floats, and whose input is rounded to a grid, or is not.

    ``weight`` are the codes, or floats (c_out, ...); ``factor`` (c_out,) is what a batch norm makes of them, ``bias``
    (c_out,) or ``None``. ``grid`` is that of the input where it is one for all; where it is ``None`` and the precision
    has an input spec, each input has its own. Shapes as those of the layer.
    """

    codes: Tensor
    scale: Tensor
    zero: Tensor | None
    levels: Tensor | None
    factor: Tensor
    bias: Tensor | None
    input_scale: Tensor | None
    input_zero: Tensor | None

    def __init__(
        self, layer: Layer, padding: int, weight: Codes | Tensor, factor: Tensor, bias: Tensor | None, grid: Grid | None
    ) -> None:
        super().__init__()
        self.layer, self.padding = layer, padding
        self._rounding = ElasticQuantizer("input").eval()
        if isinstance(weight, Tensor):
            weight = Codes(weight, factor.new_ones(1))
        else:
            weight = Codes(weight.codes.to(torch.int16), weight.scale, weight.zero, weight.levels)
        values = {"codes": weight.codes, "scale": weight.scale, "zero": weight.zero, "levels": weight.levels}
        values |= {"factor": factor, "bias": bias, "input_scale": None, "input_zero": None}
        if grid is not None:
            values |= {"input_scale": grid[0], "input_zero": grid[1]}
        for name, value in values.items():
            self.register_buffer(name, None if value is None else value.detach().clone())

    def forward(self, x: Tensor) -> Tensor:
        """The layer applied to ``x``."""
        spec = self.layer.precision.input
        if spec is not None:
            given, scale = features_last(x, self.layer.kind), self.input_scale
            grid = self._rounding.grid(given, spec) if scale is None else (scale, self.input_zero)
            x = self._rounding.on(given, grid, spec).reshape(x.shape)
        weight, y = self.weight.to(x.dtype), self.layer
        if y.call is not None:
            made: Tensor = operation(y.call.call.op)(x, weight, self.bias, *y.call.call.args)
            return made
        if weight.dim() == 4:
            return F.conv2d(x, weight, self.bias, y.stride, self.padding, y.dilation, y.groups)
        return F.linear(x, weight, self.bias)

    @property
    def weight(self) -> Tensor:
        """(c_out, ...) the values of the codes, times the factor."""
        spec = self.layer.precision.weight
        stored = Codes(self.codes, self.scale, self.zero, self.levels)
        values = self.codes if spec is None else decoded(stored, spec, "weight")
        return values * self.factor.reshape(-1, *[1] * (values.dim() - 1))

    def extra_repr(self) -> str:
        """Kind, shape and precision."""
        return f"{self.layer.kind} {'x'.join(map(str, self.codes.shape))}, {self.layer.precision.name}"
