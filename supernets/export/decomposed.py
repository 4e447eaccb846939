"""Integer layers of a plain network in torch's own quantize and dequantize operators, which its compilers look for.

The form that torchao's export quantization has: codes stay int8 in the file, and a compiler that fuses them with the
operation between runs it on integers. Source: the patterns of ``torch._inductor.fx_passes.quantization``.
"""

from __future__ import annotations

import copy

import torch
from torch import Tensor, nn
from torch.ao.quantization.fx import _decomposed  # registers the operators
from torch.nn import functional as F

from supernets.export.calls import NotExportable
from supernets.functions.operations import operation
from supernets.plain import Grid, Network, Quantized

_OPERATORS = torch.ops.quantized_decomposed
assert _decomposed


def decomposed(network: Network) -> Network:
    """A copy of ``network`` whose integer layers, of weights in any bits over inputs in 8, are in these operators.

    Raises :class:`NotExportable` for inputs in fewer bits.
    """
    made = copy.deepcopy(network)
    for name, module in made.weighted.items():
        if isinstance(module, Quantized):
            if module.grid is not None:
                raise NotExportable(f"{name.replace('/', '.')}: no form for inputs of fewer than 8 bits")
            made.weighted[name] = _Integer(module)
    for name in made.grids:
        made.grids[name] = _Rounded(made.grid(name))
    return made


class _Rounded(Grid):
    """A grid whose scale and zero-point are constants."""

    def __init__(self, grid: Grid) -> None:
        super().__init__(grid.scale, grid.zero_point, grid.spec)
        self._at = (float(grid.scale), int(grid.zero_point), grid.spec.lowest, grid.spec.highest, torch.uint8)

    def forward(self, x: Tensor) -> Tensor:
        """See :class:`Grid`."""
        codes = _OPERATORS.quantize_per_tensor.default(x, *self._at)
        values: Tensor = _OPERATORS.dequantize_per_tensor.default(codes, *self._at)
        return values


class _Integer(nn.Module):
    """See :class:`Quantized`; the bias in floats."""

    codes: Tensor
    scale: Tensor
    zero_point: Tensor
    bias: Tensor

    def __init__(self, layer: Quantized) -> None:
        super().__init__()
        self._layer = [layer]  # what it computes, not its buffers once more
        self.register_buffer("codes", layer.codes)
        self.register_buffer("scale", layer.scale)
        self.register_buffer("zero_point", torch.zeros(len(layer.scale), dtype=torch.int64))
        self.register_buffer("bias", layer.bias * layer.scale * layer.input_scale)

    def forward(self, x: Tensor) -> Tensor:
        """The layer applied to ``x``."""
        axis, layer = (0, -128, 127, torch.int8), self._layer[0]
        weight = _OPERATORS.dequantize_per_channel.default(self.codes, self.scale, self.zero_point, *axis)
        y: Tensor
        if layer.call is not None:
            y = operation(layer.call.call.op)(x, weight, self.bias, *layer.call.call.args)
        elif weight.dim() == 4:
            y = F.conv2d(x, weight, self.bias, layer.stride, layer.padding, layer.dilation, layer.groups)
        else:
            y = F.linear(x, weight, self.bias)
        return y
