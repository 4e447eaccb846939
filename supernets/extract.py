"""From a subnet of a supernet to a standalone network, batch norm folded into scales and biases."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from spaces import Architecture, Layer
from spaces.outline import WEIGHTED
from supernets.build import Calibration, Supernet
from supernets.plain import Grid, Network, Quantized
from supernets.quantization import weight_codes


@torch.no_grad()
def extract(net: Supernet, architecture: Architecture, calibration: Calibration) -> Network:
    """The subnet as a plain network in ``eval()`` mode, equal to it within float rounding and sharing no storage.

    The codes of integer weights are those that the supernet computes with, bit for bit: the norm's factor goes into
    the scales and its offset into the biases. Raises ``ValueError`` for a foreign architecture.
    """
    layers = net.outline.layers(net.space.architecture(architecture))
    grids = {name: Grid(*grid) for name, grid in calibration.grids.items()}
    modules = {layer.path: _module(net, layer, calibration, grids) for layer in layers if layer.kind in WEIGHTED}
    return Network(layers, modules, grids, net.outline.input_shape).eval()


def _module(net: Supernet, layer: Layer, calibration: Calibration, grids: dict[str, Grid]) -> nn.Module:
    elastic = net.layer(layer.path)
    weight = elastic.active(layer)
    factor, bias = elastic.folded(layer, calibration.moments.get(layer.path))
    spec = layer.precision.weight
    if spec is None:
        return _float(layer, weight * factor.reshape(-1, *[1] * (weight.dim() - 1)), bias)
    codes, scale = weight_codes(weight, spec)
    return Quantized(codes, scale * factor, bias, grids[layer.inputs[0]].scale, spec.bits, layer.stride, layer.path)


def _float(layer: Layer, weight: Tensor, bias: Tensor) -> nn.Module:
    with torch.device("meta"):  # the parameters are set below; drawing them would move torch's global random numbers
        module: nn.Conv2d | nn.Linear
        if layer.kind == "linear":
            module = nn.Linear(layer.c_in, layer.c_out, dtype=weight.dtype)
        else:
            pad = layer.kernel // 2
            shape = (layer.c_in, layer.c_out, layer.kernel)
            module = nn.Conv2d(*shape, stride=layer.stride, padding=pad, dtype=weight.dtype)
    module.to_empty(device=weight.device)
    module.weight.copy_(weight)
    assert module.bias is not None
    module.bias.copy_(bias)
    return module
