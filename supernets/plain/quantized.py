"""Layers of integers: the 8-bit grid of a tensor, and convolutions and linear layers with integer weights."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from spaces import QuantSpec
from spaces.call import Resolved
from supernets.functions.operations import operation
from supernets.quantization import ACTIVATION, bias_steps, quantize_activation


class Grid(nn.Module):
    """The grid of one tensor, of 8 bits unless ``spec`` says otherwise. Shapes: any, unchanged."""

    scale: Tensor
    zero_point: Tensor

    def __init__(self, scale: Tensor, zero_point: Tensor, spec: QuantSpec = ACTIVATION) -> None:
        super().__init__()
        self.spec = spec
        self.register_buffer("scale", scale.detach().to(torch.float32).clone())
        self.register_buffer("zero_point", zero_point.detach().to(torch.int32).clone())

    def forward(self, x: Tensor) -> Tensor:
        """``x`` rounded to the grid and clipped to it."""
        if torch.compiler.is_exporting():  # a program reads its grid where it is run: by tensors, slower but the same
            low, high = (end - self.zero_point for end in (self.spec.lowest, self.spec.highest))
            return (x / self.scale).round().clamp(low, high) * self.scale
        return quantize_activation(x, self.scale, self.zero_point, self.spec)

    def extra_repr(self) -> str:
        """Scale and zero-point."""
        return f"scale={self.scale.item():.3g}, zero_point={self.zero_point.item()}"


class Quantized(nn.Module):
    """A conv or linear layer with integer weights, as an integer kernel computes it.

    ``codes`` int8 (c_out, ...) of ``bits`` bits, ``scale`` (c_out,), ``bias`` int32 (c_out,) in steps of input scale
    times weight scale. Input: values on the grid of ``input_scale``; where the layer takes fewer bits than the tensor
    is stored in, its own ``grid`` rounds them first. Shapes as those of the layer.

    Raises:
        ValueError: a bias that does not fit 32 bits.
    """

    codes: Tensor
    scale: Tensor
    bias: Tensor
    input_scale: Tensor

    def __init__(
        self, codes: Tensor, scale: Tensor, bias: Tensor, input_scale: Tensor, bits: int, stride: int, path: str,
        padding: int | None = None, dilation: int = 1, groups: int = 1, grid: Grid | None = None,
        call: Resolved | None = None,
    ) -> None:  # fmt: skip
        super().__init__()
        self.bits = bits
        self.stride = stride
        self.padding = codes.shape[-1] // 2 if padding is None else padding
        self.dilation = dilation
        self.groups = groups
        self.grid = grid
        self.call = call
        self.register_buffer("codes", codes.detach().to(torch.int8).clone())
        self.register_buffer("scale", scale.detach().to(torch.float32).clone())
        self.register_buffer("input_scale", input_scale.detach().to(torch.float32).clone())
        steps = bias_steps(bias, self.scale * self.input_scale)
        if steps.abs().max() >= 2**31:
            raise ValueError(f"{path}: a bias of {bias.abs().max():.3g} does not fit 32 bits of the layer's step")
        self.register_buffer("bias", steps.to(torch.int32))

    def forward(self, x: Tensor) -> Tensor:
        """The layer applied to ``x``; sums of integers times scales, so float rounding is that of one product."""
        column = (-1, *[1] * (self.codes.dim() - 2))
        sums = (x if self.grid is None else self.grid(x)) / self.input_scale
        weight = self.codes.to(x.dtype)
        if self.call is not None:
            sums = operation(self.call.call.op)(sums, weight, None, *self.call.call.args)
        elif self.codes.dim() == 4:
            sums = F.conv2d(sums, weight, None, self.stride, self.padding, self.dilation, self.groups)
        else:
            sums = F.linear(sums, weight)
        return (sums + self.bias.reshape(column)) * (self.scale * self.input_scale).reshape(column)

    def extra_repr(self) -> str:
        """Kind, shape and bits."""
        shape = "x".join(map(str, self.codes.shape))
        more = "".join(f", {n}={v}" for n, v in (("dilation", self.dilation), ("groups", self.groups)) if v != 1)
        kind = "conv" if self.codes.dim() > 2 else "linear"
        return f"{kind} {shape}, {self.bits} bits, stride={self.stride}{more}"
