"""A user's own model as a supernet."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import nn

from spaces import Space
from supernets.build import Supernet
from supernets.elastic import ElasticParameter, SignedBatchNorm, WrappedNorm, WrappedWeighted
from supernets.elastic.batch_norm import ElasticBatchNorm
from supernets.wrapping.depth import Depth, runs
from supernets.wrapping.importance import reorder
from supernets.wrapping.options import Options
from supernets.wrapping.outline import Builder
from supernets.wrapping.report import Report, report
from supernets.wrapping.rules import RULES
from supernets.wrapping.sites import Layers
from supernets.wrapping.trace import trace
from supernets.wrapping.walk import Walk
from supernets.wrapping.widths import Site, Widths


class Wrapped(Supernet):
    """A supernet that holds a user's weights; ``report`` says what of it is elastic.

    With its ``calibration`` the largest subnet is the user's model, bit for bit.
    """

    def __init__(self, space: Space, wrapped: Report) -> None:
        super().__init__(space, seed=0)
        self.report = wrapped


def wrap(
    module: nn.Module,
    example_input: Any,
    choices: Mapping[str, Any] | Options | None = None,
    *,
    name: str = "wrapped",
    batch_dim: int = 0,
) -> Wrapped:
    """A supernet of which ``module`` is the largest subnet. The module stays as it is; weights are copied.

    ``example_input``: a tensor, or a tuple of tensors, as ``module`` takes them, with the batch at ``batch_dim``.
    ``choices``: see :class:`Options`. Returns the supernet in ``eval()`` mode.

    Raises:
        NotWrappable: what torch cannot trace, what slices cannot follow, or choices that do not fit; names the module.
    """
    options = Options.read(choices)
    traced = trace(module, example_input, batch_dim)
    walk = Walk(traced, RULES)
    layers, widths = Layers(traced, walk), Widths(walk)
    depth = Depth.of(runs(traced, walk), options.depth)
    sites = [Site(w.path, walk.steps[n], w.weight) for n, w in layers.weighted.items()]
    widths.decide(sites, options, depth.when)
    built = Builder(traced, walk, widths, depth, layers, options)
    space = built.build(name, _classes(traced.nodes))
    net = Wrapped(space, report(space, layers, widths))
    _load(net, layers, built)
    if options.reorder:
        reorder(net)
    return net.eval()


def _classes(nodes: Any) -> int:
    """The last dimension of what the network gives first."""
    names = list(nodes[-1].refs())
    sizes = next((n.sizes for n in nodes if names and n.name == names[0]), None)
    return int(sizes[-1]) if sizes else 1


@torch.no_grad()
def _load(net: Wrapped, layers: Layers, built: Builder) -> None:
    for record in net.outline.records:
        if record.kind == "parameter":
            held = net.layer(record.path)
            assert isinstance(held, ElasticParameter)
            held.weight.copy_(layers.trace.held[record.path])
    for w in layers.weighted.values():
        elastic = net.layer(w.path)
        assert isinstance(elastic, WrappedWeighted)
        if w.owner is None:
            elastic.weight.copy_(layers.value(w.node.args[1]))
        if w.bias and elastic.bias is not None:
            elastic.bias.copy_(layers.value(w.node.args[2]))
        if w.norm is not None and elastic.norm is not None:
            _load_norm(elastic.norm, layers, w.norm)
    for node, path in layers.norms.items():
        norm = net.layer(path)
        assert isinstance(norm, WrappedNorm)
        assert norm.norm is not None
        _load_norm(norm.norm, layers, node)
    floats = {t.dtype for t in layers.trace.held.values() if t.is_floating_point()}
    if len(floats) == 1:
        net.to(floats.pop())


def _load_norm(norm: ElasticBatchNorm, layers: Layers, node: str) -> None:
    assert isinstance(norm, SignedBatchNorm)
    own = (norm.weight, norm.bias, norm.running_mean, norm.running_var)
    for held, ref in zip(own, layers.walk.steps[node].node.args[1:5], strict=True):
        if ref is not None:
            held.copy_(layers.value(ref))
