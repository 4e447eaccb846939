"""What all elastic layers are."""

from __future__ import annotations

from torch import Tensor, nn

from spaces import Layer


class ElasticLayer(nn.Module):
    """Holds the largest form of a layer. Which slice is active is no state of it: it comes with every call."""

    def parts(self, layer: Layer) -> dict[str, Tensor]:
        """The active slice: parameters by the names that the plain layer has for them."""
        raise NotImplementedError
