"""A supernet, of experts or not, that begins with the weights of one without."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from supernets.build import Supernet
from supernets.elastic import ElasticWeighted

_APART = 0.01  # of their own draws: experts that are equal would stay so


@torch.no_grad()
def begin_with(net: Supernet, weights: Mapping[str, Tensor]) -> None:
    """Give ``net`` the ``state_dict`` of a supernet of the same space without experts; further experts begin near it.

    Raises ``RuntimeError``, torch's own, for weights that are missing or of other shapes.
    """
    parts = net.state_dict().items()
    own = {n: v for n, v in parts if n.startswith("router.") or ".weights." in n or ".biases." in n}
    net.load_state_dict({**own, **weights})
    for module in net.elastic.values():
        if isinstance(module, ElasticWeighted):
            for other in module.weights:
                other.copy_(module.full + _APART * other)
            for other in module.biases:
                other.copy_(module.bias)
