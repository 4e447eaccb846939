"""What layers with a precision share: a float slice, its quantized form, and what a batch norm makes of it."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn

from spaces import Layer
from spaces.precision import Precision
from supernets.elastic.base import ElasticLayer
from supernets.elastic.batch_norm import ElasticBatchNorm, Moments
from supernets.elastic.slices import channel_slice
from supernets.quantization import Codes, Cut, ElasticQuantizer
from supernets.quantization.kernels import Kernels
from supernets.quantization.roundings import Draws


class ElasticWeighted(ElasticLayer):
    """A layer with a weight, perhaps a bias, perhaps a batch norm after it.

    ``draws`` is where its random roundings come from.
    """

    bias: nn.Parameter | None
    norm: ElasticBatchNorm | None

    def __init__(self) -> None:
        super().__init__()
        self.quantizer, self.input_quantizer = ElasticQuantizer("weight"), ElasticQuantizer("input")
        self.draws: Draws = None

    def allow(self, precisions: Sequence[Precision], draws: Draws, kernels: Kernels) -> None:
        """Make the tables that these precisions learn."""
        weights = [p.weight for p in precisions if p.weight is not None]
        self.quantizer = ElasticQuantizer("weight", weights, tuple(self.full.shape))
        self.input_quantizer = ElasticQuantizer("input", [p.input for p in precisions if p.input is not None])
        self.draws, self.input_quantizer.kernels = draws, kernels

    @property
    def full(self) -> Tensor:
        """The largest weight."""
        raise NotImplementedError

    def sliced(self, weight: Tensor, layer: Layer) -> Tensor:
        """The slice (c_out, ...) of this layer of the weight, or of a table in its shape."""
        raise NotImplementedError

    def active(self, layer: Layer) -> Tensor:
        """The float weight slice (c_out, ...) of this layer."""
        return self.sliced(self.full, layer)

    def cut(self, layer: Layer) -> Cut:
        """How the tables of its quantizer are sliced."""

        def part(table: Tensor) -> Tensor:
            one = table.dim() == 1
            return channel_slice(table, layer.c_out, self.rows(layer)) if one else self.sliced(table, layer)

        return part

    def codes(self, layer: Layer) -> Codes:
        """The codes of its weight, as evaluation computes with them and exports hold them."""
        assert layer.precision.weight is not None
        return self.quantizer.codes(self.active(layer), layer.precision.weight, self.cut(layer))

    def parts(self, layer: Layer) -> dict[str, Tensor]:
        """Weight and bias of the slice, no norm."""
        bias = self.active_bias(layer)
        return {"weight": self.active(layer)} | ({} if bias is None else {"bias": bias})

    def compute(self, x: Tensor, weight: Tensor, bias: Tensor | None, layer: Layer) -> Tensor:
        """The layer without its norm."""
        raise NotImplementedError

    def linear_part(self, x: Tensor, layer: Layer) -> Tensor:
        """The active slice, quantized if the layer is, applied to ``x``; no norm yet."""
        weight = self.active(layer)
        if layer.precision.weight is not None:
            weight = self.quantizer(weight, layer.precision.weight, self.cut(layer), self.draws)
        return self.compute(x, weight, self.active_bias(layer), layer)

    def active_bias(self, layer: Layer) -> Tensor | None:
        """(c_out,) or ``None`` if there is none."""
        return None if self.bias is None else channel_slice(self.bias, layer.c_out, self.rows(layer))

    def normalised(self, y: Tensor, layer: Layer, moments: Moments | None) -> Tensor:
        """``y`` after the norm; by its own statistics if ``moments`` is ``None``."""
        return y if self.norm is None else self.norm(y, moments, self.rows(layer), _integer(layer))

    def folded(self, layer: Layer, moments: Moments | None) -> tuple[Tensor, Tensor | None]:
        """(factor (c_out,), bias (c_out,) or ``None``) of ``factor * layer(x) + bias``, norm and bias folded."""
        if self.norm is not None:
            assert moments is not None, "a layer with a norm is folded with its moments"
            factor, bias = self.norm.fold(moments, self.rows(layer), _integer(layer))
            own = self.active_bias(layer)
            return factor, bias if own is None else bias + factor * own
        return self.active(layer).new_ones(layer.c_out), self.active_bias(layer)

    def unfolded(self, layer: Layer, moments: Moments) -> dict[str, Tensor]:
        """The norm after the layer by itself, as torch names its parts."""
        assert self.norm is not None
        rows = self.rows(layer)
        return {
            "weight": self.norm.gain(layer.c_out, rows),
            "bias": self.norm.shift(layer.c_out, rows),
            "running_mean": moments.mean,
            "running_var": moments.variance,
        }

    def rows(self, layer: Layer) -> tuple[tuple[int, int], ...] | None:
        """Where its output channels stand in the largest output; ``None``: the first ones."""
        return None


def _integer(layer: Layer) -> bool:
    return layer.precision.integer
