"""Standalone networks: what a subnet is once it has left the supernet."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from spaces import INPUT, Layer
from supernets.graph import run
from supernets.quantization import bias_steps, quantize_activation


class Grid(nn.Module):
    """The 8-bit grid of one tensor: float scale and integer zero-point. Shapes: any, unchanged."""

    scale: Tensor
    zero_point: Tensor

    def __init__(self, scale: Tensor, zero_point: Tensor) -> None:
        super().__init__()
        self.register_buffer("scale", scale.detach().to(torch.float32).clone())
        self.register_buffer("zero_point", zero_point.detach().to(torch.int32).clone())

    def forward(self, x: Tensor) -> Tensor:
        """``x`` rounded to the grid and clipped to it."""
        return quantize_activation(x, self.scale, self.zero_point)

    def extra_repr(self) -> str:
        """Scale and zero-point."""
        return f"scale={self.scale.item():.3g}, zero_point={self.zero_point.item()}"


class Quantized(nn.Module):
    """A conv or linear layer with integer weights, as an integer kernel computes it.

    ``codes`` int8 (c_out, ...) of ``bits`` bits, ``scale`` (c_out,), ``bias`` int32 (c_out,) in steps of input scale
    times weight scale. Input: values on the grid of ``input_scale``. Shapes as those of the layer.

    Raises:
        ValueError: a bias that does not fit 32 bits.
    """

    codes: Tensor
    scale: Tensor
    bias: Tensor
    input_scale: Tensor

    def __init__(
        self, codes: Tensor, scale: Tensor, bias: Tensor, input_scale: Tensor, bits: int, stride: int, path: str
    ) -> None:
        super().__init__()
        self.bits = bits
        self.stride = stride
        self.register_buffer("codes", codes.detach().to(torch.int8).clone())
        self.register_buffer("scale", scale.detach().to(torch.float32).clone())
        self.register_buffer("input_scale", input_scale.detach().to(torch.float32).clone())
        steps = bias_steps(bias, self.scale * self.input_scale)
        if steps.abs().max() >= 2**31:
            raise ValueError(f"{path}: a bias of {bias.abs().max():.3g} does not fit 32 bits of the layer's step")
        self.register_buffer("bias", steps.to(torch.int32))

    def forward(self, x: Tensor) -> Tensor:
        """The layer applied to ``x``; sums of integers times scales, so float rounding is that of one product."""
        column = (-1, *[1] * (2 if self.codes.dim() == 4 else 0))
        sums = x / self.input_scale
        weight = self.codes.to(x.dtype)
        if self.codes.dim() == 4:
            sums = F.conv2d(sums, weight, stride=self.stride, padding=self.codes.shape[-1] // 2)
        else:
            sums = F.linear(sums, weight)
        return (sums + self.bias.reshape(column)) * (self.scale * self.input_scale).reshape(column)

    def extra_repr(self) -> str:
        """Kind, shape and bits."""
        shape = "x".join(map(str, self.codes.shape))
        return f"{'conv' if self.codes.dim() == 4 else 'linear'} {shape}, {self.bits} bits, stride={self.stride}"


class Network(nn.Module):
    """A plain network: torch's own layers, :class:`Quantized` ones, and the :class:`Grid` of each 8-bit tensor.

    Shapes: ``x`` (b, c, h, w) to logits (b, classes). It shares no storage with the supernet it came from.
    """

    def __init__(
        self,
        layers: Sequence[Layer],
        modules: Mapping[str, nn.Module],
        grids: Mapping[str, Grid],
        input_shape: tuple[int, int, int],
    ) -> None:
        super().__init__()
        self.layers = tuple(layers)
        self.input_shape = input_shape
        self.weighted = nn.ModuleDict({path.replace(".", "/"): module for path, module in modules.items()})
        self.grids = nn.ModuleDict({name.replace(".", "/"): grid for name, grid in grids.items()})

    def forward(self, x: Tensor) -> Tensor:
        """Logits."""
        return run(self.layers, x, lambda layer, y: self.module(layer.path)(y), lambda name, y: self.grid(name)(y))

    def module(self, path: str) -> nn.Module:
        """The layer with weights at this path."""
        return self.weighted[path.replace(".", "/")]

    def grid(self, name: str) -> Grid:
        """The grid of the tensor ``"input"`` or of the output of the layer at this path."""
        grid = self.grids[name.replace(".", "/")]
        assert isinstance(grid, Grid)
        return grid


__all__ = ["INPUT", "Grid", "Network", "Quantized"]
