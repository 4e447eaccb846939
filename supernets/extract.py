"""From a subnet of a supernet to a standalone network, batch norm folded into scales and biases."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from spaces import Architecture, Layer
from supernets.build import Supernet
from supernets.elastic import ElasticWeighted
from supernets.plain import Grid, Network, Quantized, Simulated, TiedLinear
from supernets.plain.called import used_again
from supernets.plain.fresh import FRESH, fresh, padding
from supernets.plain.network import network
from supernets.quantization import ACTIVATION
from supernets.quantization.methods import whole
from supernets.selection import Calibration


@torch.no_grad()
def extract(net: Supernet, architecture: Architecture, calibration: Calibration, folded: bool = True) -> Network:
    """The subnet as a plain network in ``eval()`` mode, equal to it within float rounding and sharing no storage.

    The codes of weights are those that the supernet computes with, bit for bit: the norm's factor goes into the scales
    and its offset into the biases. With ``folded=False`` each batch norm is a layer of its own, to train on.

    Raises:
        ValueError: a foreign architecture; ``folded=False`` for one with layers of codes, which cannot be trained.
    """
    layers = net.layers(architecture)
    if not folded and any(y.precision.quantized for y in layers):
        raise ValueError("a network to be trained has float layers only: extract it folded, or choose float for all")
    modules: dict[str, nn.Module] = {}
    grids = {name: Grid(*grid) for name, grid in calibration.grids.items()}
    routing = net.routing(architecture)
    for layer in layers:
        if layer.kind in FRESH:
            modules[layer.path] = _module(net, layer, calibration, routing.get(layer.path), modules, folded)
    return network(net.space, layers, modules, grids).eval()


def _module(
    net: Supernet, layer: Layer, calibration: Calibration, shares: Tensor | None,
    before: dict[str, nn.Module], folded: bool,
) -> nn.Module:  # fmt: skip
    elastic = net.layer(layer.path)
    if isinstance(elastic, ElasticWeighted) and layer.precision.quantized:
        return (_quantized if layer.precision.integer else _simulated)(elastic, layer, calibration, shares)
    again = used_again(layer, before)
    if again is not None:
        return again
    with torch.device("meta"):  # the parameters are set below; drawing them would move torch's global random numbers
        module = fresh(layer, folded, before)
    like = next(net.parameters())
    module.to_empty(device=like.device).to(like.dtype)
    if not isinstance(elastic, ElasticWeighted):
        _set(module, elastic.parts(layer))
    elif layer.kind == "batch_norm":
        _set(module, elastic.unfolded(layer, calibration.moments[layer.path]))
    elif isinstance(module, nn.Sequential):
        _set(module[0], elastic.parts(layer, shares))
        _set(module[1], elastic.unfolded(layer, calibration.moments[layer.path]))
    else:
        factor, bias = elastic.folded(layer, calibration.moments.get(layer.path), shares)
        weight = elastic.active(layer, shares)
        folded_weight = weight * factor.reshape(-1, *[1] * (weight.dim() - 1))
        _set(module, {} if isinstance(module, TiedLinear) else {"weight": folded_weight})
        _set(module, {} if bias is None else {"bias": bias})
    return module


def _set(module: nn.Module, values: Mapping[str, Tensor]) -> None:
    for name, value in values.items():
        getattr(module, name).copy_(value)


def _quantized(elastic: ElasticWeighted, layer: Layer, calibration: Calibration, shares: Tensor | None) -> Quantized:
    assert layer.precision.weight is not None
    assert layer.precision.input is not None
    factor, bias = elastic.folded(layer, calibration.moments.get(layer.path), shares)
    stored = elastic.codes(layer, shares)
    grid = calibration.input_grid(layer)
    own = None if layer.precision.input.bits == ACTIVATION.bits else Grid(*grid, layer.precision.input)
    if bias is None:
        bias = torch.zeros_like(factor)
    return Quantized(
        stored.codes, stored.scale * factor, bias, grid[0], layer.precision.weight.bits, layer.stride, layer.path,
        padding(layer), layer.dilation, layer.groups, own, layer.call,
    )  # fmt: skip


def _simulated(elastic: ElasticWeighted, layer: Layer, calibration: Calibration, shares: Tensor | None) -> Simulated:
    factor, bias = elastic.folded(layer, calibration.moments.get(layer.path), shares)
    spec, grid = layer.precision.input, calibration.inputs.get(layer.path)
    weight = elastic.active(layer, shares) if layer.precision.weight is None else elastic.codes(layer, shares)
    if grid is not None and spec is not None and grid[1] is not None:
        grid = grid[0], whole(grid[1], spec)
    return Simulated(layer, padding(layer), weight, factor, bias, grid)
