"""Fresh plain layers of a traced network."""

from __future__ import annotations

from collections.abc import Mapping

from torch import nn

from spaces import Layer
from supernets.functions.calls import named
from supernets.plain.blocks import Held
from supernets.plain.quantized import Quantized
from supernets.plain.simulated import Simulated

_CONVS: Mapping[int, type[nn.Module]] = {3: nn.Conv1d, 4: nn.Conv2d, 5: nn.Conv3d}
_NORMS: Mapping[int, type[nn.Module]] = {2: nn.BatchNorm1d, 3: nn.BatchNorm1d, 4: nn.BatchNorm2d, 5: nn.BatchNorm3d}


def used_again(layer: Layer, others: Mapping[str, nn.Module]) -> nn.Module | None:
    """The module before, where the layer is one that is used more than once, and is float both times."""
    if layer.call is None or not layer.call.call.again or layer.weight_of is None:
        return None
    owner = others[layer.weight_of]
    return None if isinstance(owner, Quantized | Simulated) else owner


def called_conv(layer: Layer, normed: bool) -> nn.Module:
    """A convolution of as many dimensions as its weight has; with ``normed`` a batch norm after it."""
    assert layer.call is not None
    sizes, call = layer.call.sizes, layer.call.call
    stride, padding, dilation, groups = call.args
    bias = layer.bias or (layer.norm and not normed)
    conv = _CONVS[len(sizes)](
        sizes[1] * groups, sizes[0], sizes[2:], stride, padding, dilation, groups, bias=bias
    )  # fmt: skip
    return nn.Sequential(conv, _NORMS[len(sizes)](sizes[0], call.eps)) if normed else conv


def called_norm(layer: Layer) -> nn.Module:
    """A batch norm; what it reads has as many dimensions as its argument says."""
    assert layer.call is not None
    return _NORMS[layer.call.call.args[0]](layer.call.sizes[0], layer.call.call.eps)


def held(layer: Layer) -> nn.Module:
    """A parameter by itself."""
    assert layer.call is not None
    return Held(layer.call.sizes, named(layer.call.call.dtype), layer.call.call.buffer)
