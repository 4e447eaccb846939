"""Mixture-of-Supernets: the weights that subnets share depend on the architecture.

Source: Jawahar et al. 2023, "Mixture-of-Supernets": experts and routers are trained together by the losses of the
subnets that are drawn, here those of the sandwich rule; what differs in the layers: :mod:`supernets.elastic.experts`.
One expert is the ordinary supernet. A subnet that is extracted has the weights of an ordinary network.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from supernets.elastic import Mixture
from supernets.training.schemes.base import Setting
from supernets.training.schemes.sandwich import Sandwich


class MixtureOfSupernets(Sandwich):
    """The sandwich over a supernet that was built with ``experts`` weights per layer, mixed by ``routing``."""

    def __init__(
        self, setting: Setting, subnets: int = 2, smoothing: float = 0.05, distillation: float = 0.5,
        zero_residuals: bool = False, experts: int = Mixture.experts, routing: str = Mixture.routing,
    ) -> None:  # fmt: skip
        super().__init__(setting, subnets, smoothing, distillation, zero_residuals)

    @classmethod
    def mixture(cls, options: Mapping[str, Any]) -> Mixture | None:
        """As the options say."""
        found = Mixture(options.get("experts", Mixture.experts), options.get("routing", Mixture.routing))
        return found if found.experts > 1 else None
