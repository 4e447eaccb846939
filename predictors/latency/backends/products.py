"""Linear layers as torch's own products of matrices in few bits, on the CPU and on NVIDIA's GPUs.

| precision | operator | computes |
|---|---|---|
| ``w8a8`` | ``_int_mm`` | int8 times int8, sums in int32: exactly what the integer layer is |
| ``w8-e4m3/a8-e4m3`` | ``_scaled_mm`` | E4M3 times E4M3, sums in f32; weights have a scale per channel or one |
| ``w4-group<n>/float`` | ``_weight_int4pack_mm`` | bf16 times int4 of a bf16 scale per 32, 64, 128 or 256 weights |

What the operators want of shapes (on GPUs: ``_int_mm`` more than 16 rows, and channels in eights; ``_scaled_mm``
channels in sixteens; ``_weight_int4pack_mm`` outputs in eights) zeros fill up, which change no sum.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from supernets.export import NotExportable
from supernets.plain import Grid, Network, Quantized, Simulated

INT_MM, SCALED_MM = "_int_mm", "_scaled_mm"
INT4PACK_MM, INT4PACK_MM_FOR_CPU = "_weight_int4pack_mm", "_weight_int4pack_mm_for_cpu"
OPERATORS = frozenset({INT_MM, SCALED_MM, INT4PACK_MM, INT4PACK_MM_FOR_CPU})
INTEGERS = frozenset({INT_MM})
_E4M3_MOST = 448.0  # what is beyond it would become NaN


@dataclass(frozen=True)
class Shapes:
    """What an operator wants: ``rows`` at least, channels in multiples of ``inputs`` and ``outputs``."""

    rows: int = 1
    inputs: int = 1
    outputs: int = 1

    def filled(self, weight: Tensor, value: float = 0) -> Tensor:
        """``weight`` (n, k) with rows and columns of ``value`` added."""
        n, k = weight.shape
        return F.pad(weight, (0, -k % self.inputs, 0, -n % self.outputs), value=value).contiguous()

    def rows_of(self, x: Tensor) -> Tensor:
        """``x`` (m, k) with zeros added."""
        m, k = x.shape
        lacking = (0, -k % self.inputs, 0, max(0, self.rows - m))
        return F.pad(x, lacking) if any(lacking) else x


class Product(nn.Module):
    """A linear layer over rows of features; ``product`` (m, k) -> (m, n), more rows and columns than asked for or not.

    ``factor`` and ``bias`` (n,): what sums are multiplied by, and what is added then, in f32.
    """

    factor: Tensor
    bias: Tensor

    def __init__(self, factor: Tensor, bias: Tensor | None) -> None:
        super().__init__()
        self.register_buffer("factor", factor.detach().to(torch.float32).clone())
        self.register_buffer("bias", torch.zeros_like(self.factor) if bias is None else bias.detach().float().clone())

    def product(self, rows: Tensor) -> Tensor:
        """The sums, on the operator."""
        raise NotImplementedError

    def forward(self, x: Tensor) -> Tensor:
        """The layer applied to ``x`` (..., k), in the type of ``x``."""
        rows = x.reshape(-1, x.shape[-1]).contiguous()  # which operators want
        sums = self.product(rows)[: len(rows), : len(self.factor)]
        return (sums * self.factor + self.bias).to(x.dtype).reshape(*x.shape[:-1], len(self.factor))


class Integers(Product):
    """``codes`` (n, k) int8 times inputs shifted from 0..255 to -128..127; the shift is in the int32 ``steps``."""

    codes: Tensor
    steps: Tensor

    def __init__(self, layer: Quantized, grid: Grid, shapes: Shapes) -> None:
        super().__init__(layer.scale * layer.input_scale, None)
        self._shapes, self._step = shapes, float(layer.input_scale)
        self._shift = int(grid.zero_point) - 128
        steps = layer.bias.long() - self._shift * layer.codes.long().sum(dim=1)
        if steps.abs().max() >= 2**31:
            raise NotExportable("its bias does not fit 32 bits of the layer's step")
        self.register_buffer("codes", shapes.filled(layer.codes))
        self.register_buffer("steps", F.pad(steps, (0, len(self.codes) - len(steps))).to(torch.int32))

    def product(self, rows: Tensor) -> Tensor:
        """See :class:`Product`."""
        codes = (rows / self._step).round().add(self._shift).clamp(-128, 127).to(torch.int8)
        return torch._int_mm(self._shapes.rows_of(codes), self.codes.t()) + self.steps


class Floats8(Product):
    """``codes`` (n, k) in E4M3 times inputs rounded to it."""

    codes: Tensor
    one: Tensor

    def __init__(self, layer: Simulated, grid: Grid | None, shapes: Shapes) -> None:
        assert layer.input_scale is not None
        scale = layer.scale.expand(len(layer.factor))
        weight = layer.weight / (scale * layer.factor)[:, None]  # the levels again, but for what floats round
        step = float(layer.input_scale)
        super().__init__(scale * layer.factor * step, layer.bias)
        self._shapes, self._step = shapes, step
        self.register_buffer("codes", shapes.filled(weight).to(torch.float8_e4m3fn))
        self.register_buffer("one", torch.ones(()))

    def product(self, rows: Tensor) -> Tensor:
        """See :class:`Product`."""
        scaled = (rows.float() / self._step).clamp(-_E4M3_MOST, _E4M3_MOST)
        given = self._shapes.rows_of(scaled).to(torch.float8_e4m3fn)
        made: Tensor = torch._scaled_mm(given, self.codes.t(), self.one, self.one, out_dtype=torch.float32)
        return made


class Packed4(Product):
    """``codes`` as the operator packs them; ``scales`` (k / group, n, 2) bf16: of each group, and zeros."""

    codes: Tensor
    scales: Tensor
    _multiply = staticmethod(torch.ops.aten._weight_int4pack_mm_for_cpu)

    def __init__(self, layer: Simulated, grid: Grid | None, shapes: Shapes) -> None:
        n = len(layer.factor)
        super().__init__(layer.factor, layer.bias)
        weight = layer.layer.precision.weight
        assert weight is not None
        self._group = weight.group
        scale = shapes.filled(layer.scale.reshape(n, -1)).t()
        self.register_buffer("scales", torch.stack([scale, torch.zeros_like(scale)], dim=2).to(torch.bfloat16))
        self.register_buffer("codes", self.packed(shapes.filled(layer.codes.to(torch.int32) + 8, value=8)))

    def packed(self, codes: Tensor) -> Tensor:
        """Of ``codes`` (n, k) from 0 to 15."""
        made: Tensor = torch.ops.aten._convert_weight_to_int4pack_for_cpu(codes, 1)
        return made

    def product(self, rows: Tensor) -> Tensor:
        """See :class:`Product`."""
        made: Tensor = self._multiply(rows.to(torch.bfloat16), self.codes, self._group, self.scales)
        return made.float()


class Packed4OnGpu(Packed4):
    """Packed there; a file of it is read anywhere, and runs there alone."""

    _multiply = staticmethod(torch.ops.aten._weight_int4pack_mm)

    def packed(self, codes: Tensor) -> Tensor:
        """See :class:`Packed4`: two codes to a byte, the first above, then in tiles of 16 inputs."""
        pairs = (codes[:, ::2] << 4 | codes[:, 1::2]).to(torch.uint8).cuda()
        tiles = next(t for t in (8, 4, 2) if codes.shape[1] % (16 * t) == 0)
        made: Tensor = torch.ops.aten._convert_weight_to_int4pack(pairs, tiles)
        return made.cpu()


class Make(Protocol):
    """How a product is made of a layer, of the grid of its input if that is stored in 8 bits, in these shapes."""

    def __call__(self, layer: Any, grid: Any, shapes: Shapes) -> Product: ...


@dataclass(frozen=True)
class Form:
    """How linear layers of a precision are computed: by ``operator``, as ``audited`` calls it, in these ``shapes``."""

    operator: str
    makes: Make
    shapes: Shapes = Shapes()


def forms(floats: str, integers: Form, floats8: Form | None, packed4: Form | None) -> Mapping[str, Form]:
    """Precision -> form, of what a device has, among layers that compute floats in ``floats``.

    Integers go with f32 alone: bf16 does not hold what 8 bits and a scale make. Packed weights go with bf16 alone.
    """
    found = {"w8a8": integers} if floats == "f32" else {}
    if floats8 is not None:
        found |= dict.fromkeys(("w8-e4m3/a8-e4m3", "w8-e4m3-tensor/a8-e4m3"), floats8)
    if packed4 is not None and floats == "bf16":
        found |= {f"w4-group{n}/float": packed4 for n in (32, 64, 128, 256)}
    return found


def products(network: Network, found: Mapping[str, Form]) -> dict[str, Product]:
    """Path -> product, of the linear layers in these forms. Raises :class:`NotExportable`."""
    made = {}
    for y in network.layers:
        form = found.get(y.precision.kernel)
        if y.kind != "linear" or form is None:
            continue
        try:
            grid = network.grid(y.inputs[0]) if y.in8 else None
            made[y.path] = form.makes(network.module(y.path), grid, form.shapes)
        except NotExportable as error:
            raise NotExportable(f"{y.path}: {error}") from error
    return made
