"""What layers with a precision share: a float slice, its quantized form, and what a batch norm makes of it."""

from __future__ import annotations

from torch import Tensor, nn

from spaces import Layer
from supernets.elastic.base import ElasticLayer
from supernets.elastic.batch_norm import ElasticBatchNorm, Moments
from supernets.elastic.slices import channel_slice
from supernets.quantization import quantize_weight


class ElasticWeighted(ElasticLayer):
    """A layer with a weight, perhaps a bias, perhaps a batch norm after it."""

    bias: nn.Parameter | None
    norm: ElasticBatchNorm | None

    def active(self, layer: Layer) -> Tensor:
        """The float weight slice (c_out, ...) of this layer."""
        raise NotImplementedError

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
            weight = quantize_weight(weight, layer.precision.weight)
        return self.compute(x, weight, self.active_bias(layer), layer)

    def active_bias(self, layer: Layer) -> Tensor | None:
        """(c_out,) or ``None`` if there is none."""
        return None if self.bias is None else channel_slice(self.bias, layer.c_out, self.rows(layer))

    def normalised(self, y: Tensor, layer: Layer, moments: Moments | None) -> Tensor:
        """``y`` after the norm; by its own statistics if ``moments`` is ``None``."""
        return y if self.norm is None else self.norm(y, moments, self.rows(layer))

    def folded(self, layer: Layer, moments: Moments | None) -> tuple[Tensor, Tensor | None]:
        """(factor (c_out,), bias (c_out,) or ``None``) of ``factor * layer(x) + bias``, norm and bias folded."""
        if self.norm is not None:
            assert moments is not None, "a layer with a norm is folded with its moments"
            return self.norm.fold(moments, self.rows(layer))
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
