"""What layers with a precision share: a float slice, its quantized form, and what a batch norm makes of it."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from torch import Tensor, nn

from spaces import Layer
from spaces.precision import Precision
from supernets.elastic.base import ElasticLayer
from supernets.elastic.batch_norm import ElasticBatchNorm, Moments
from supernets.elastic.experts import mixed
from supernets.elastic.slices import channel_slice
from supernets.quantization import Codes, Cut, ElasticQuantizer
from supernets.quantization.compact import compact
from supernets.quantization.roundings import Draws

Once = Callable[[Callable[[], Tensor]], Tensor]
"""Makes a tensor, or gives the one that was made before."""


def anew(make: Callable[[], Tensor]) -> Tensor:
    """Made each time."""
    return make()


_MANY = 256  # multiplications per value that is read: then packing it takes no time that anyone would notice


class ElasticWeighted(ElasticLayer):
    """A layer with a weight, perhaps a bias, perhaps a batch norm after it.

    ``draws`` is where its random roundings come from. ``shares`` (experts, rows) or (experts, 1) are those of the
    selection, for a layer that has experts: then the active weight and bias are sums over them.
    """

    bias: nn.Parameter | None
    norm: ElasticBatchNorm | None

    def __init__(self) -> None:
        super().__init__()
        self.quantizer, self.input_quantizer = ElasticQuantizer("weight"), ElasticQuantizer("input")
        self.draws: Draws = None
        self.weights, self.biases = nn.ParameterList(), nn.ParameterList()  # of the experts after the first

    def allow(self, precisions: Sequence[Precision], draws: Draws) -> None:
        """Make the tables that these precisions learn."""
        weights = [p.weight for p in precisions if p.weight is not None]
        self.quantizer = ElasticQuantizer("weight", weights, tuple(self.full.shape))
        self.input_quantizer = ElasticQuantizer("input", [p.input for p in precisions if p.input is not None])
        self.draws = draws

    def add_expert(self, other: ElasticWeighted) -> None:
        """Take the weight and the bias of another layer of the same record as those of one more expert."""
        self.weights.append(nn.Parameter(other.full.detach()))
        if other.bias is not None:
            self.biases.append(other.bias)

    @property
    def full(self) -> Tensor:
        """The largest weight; of several experts that of the first."""
        raise NotImplementedError

    def sliced(self, weight: Tensor, layer: Layer) -> Tensor:
        """The slice (c_out, ...) of this layer of the weight, or of a table in its shape."""
        raise NotImplementedError

    def active(self, layer: Layer, shares: Tensor | None = None) -> Tensor:
        """The float weight slice (c_out, ...) of this layer. Raises ``RuntimeError`` for experts without shares."""
        weight = self.sliced(self.full, layer)
        if not self.weights:
            return weight
        return self._mixed([weight, *(self.sliced(other, layer) for other in self.weights)], layer, shares)

    def _mixed(self, parts: Sequence[Tensor], layer: Layer, shares: Tensor | None) -> Tensor:
        if shares is None:
            raise RuntimeError(f"{layer.path}: its experts need the shares of an architecture: pass those of `routing`")
        return mixed(parts, shares if shares.shape[1] == 1 else channel_slice(shares, layer.c_out, self.rows(layer)))

    def cut(self, layer: Layer) -> Cut:
        """How the tables of its quantizer are sliced."""

        def part(table: Tensor) -> Tensor:
            one = table.dim() == 1
            return channel_slice(table, layer.c_out, self.rows(layer)) if one else self.sliced(table, layer)

        return part

    def codes(self, layer: Layer, shares: Tensor | None = None) -> Codes:
        """The codes of its weight, as evaluation computes with them and exports hold them."""
        assert layer.precision.weight is not None
        return self.quantizer.codes(self.active(layer, shares), layer.precision.weight, self.cut(layer))

    def parts(self, layer: Layer, shares: Tensor | None = None) -> dict[str, Tensor]:
        """Weight and bias of the slice, no norm."""
        bias = self.active_bias(layer, shares)
        return {"weight": self.active(layer, shares)} | ({} if bias is None else {"bias": bias})

    def compute(self, x: Tensor, weight: Tensor, bias: Tensor | None, layer: Layer) -> Tensor:
        """The layer without its norm."""
        raise NotImplementedError

    def rounded(self, layer: Layer, shares: Tensor | None = None) -> Tensor:
        """The active slice, quantized if the layer is."""
        weight = self.active(layer, shares)
        if layer.precision.weight is None:
            return weight
        rounded: Tensor = self.quantizer(weight, layer.precision.weight, self.cut(layer), self.draws)
        return rounded

    def linear_part(self, x: Tensor, layer: Layer, shares: Tensor | None = None, once: Once = anew) -> Tensor:
        """The active slice, quantized if the layer is, applied to ``x``; no norm yet."""
        weight = once(lambda: self.rounded(layer, shares))
        with compact(weight, *([x] if weight.numel() >= _MANY * layer.c_in else [])):
            return self.compute(x, weight, self.active_bias(layer, shares), layer)

    def active_bias(self, layer: Layer, shares: Tensor | None = None) -> Tensor | None:
        """(c_out,) or ``None`` if there is none."""
        if self.bias is None:
            return None
        parts = [channel_slice(bias, layer.c_out, self.rows(layer)) for bias in (self.bias, *self.biases)]
        return self._mixed(parts, layer, shares) if self.biases else parts[0]

    def normalised(self, y: Tensor, layer: Layer, moments: Moments | None) -> Tensor:
        """``y`` after the norm; by its own statistics if ``moments`` is ``None``."""
        return y if self.norm is None else self.norm(y, moments, self.rows(layer), _integer(layer))

    def affine(self, layer: Layer) -> tuple[Tensor, Tensor, float]:
        """(gain (c_out,), shift (c_out,), epsilon) of its norm."""
        assert self.norm is not None
        rows = self.rows(layer)
        gain = self.norm.gain(layer.c_out, rows, _integer(layer))
        return gain, self.norm.shift(layer.c_out, rows), self.norm.epsilon

    def folded(
        self, layer: Layer, moments: Moments | None, shares: Tensor | None = None
    ) -> tuple[Tensor, Tensor | None]:
        """(factor (c_out,), bias (c_out,) or ``None``) of ``factor * layer(x) + bias``, norm and bias folded."""
        own = self.active_bias(layer, shares)
        if self.norm is not None:
            assert moments is not None, "a layer with a norm is folded with its moments"
            factor, bias = self.norm.fold(moments, self.rows(layer), _integer(layer))
            return factor, bias if own is None else bias + factor * own
        return self.full.new_ones(layer.c_out), own

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
