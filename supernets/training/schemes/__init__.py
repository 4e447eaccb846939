"""Training schemes by name, one file each."""

from __future__ import annotations

from supernets.training.schemes.alpha_divergence import AlphaDivergence
from supernets.training.schemes.attentive import Attentive
from supernets.training.schemes.base import Lessons, NotTrainable, Scheme, Setting
from supernets.training.schemes.eqnet import EqNet
from supernets.training.schemes.fair import Fair
from supernets.training.schemes.mixture import MixtureOfSupernets
from supernets.training.schemes.progressive import Progressive
from supernets.training.schemes.sandwich import Sandwich
from supernets.training.schemes.uniform import Uniform

SCHEMES: dict[str, type[Lessons]] = {
    "alpha_divergence": AlphaDivergence,
    "attentive": Attentive,
    "eqnet": EqNet,
    "fair": Fair,
    "mixture": MixtureOfSupernets,
    "progressive": Progressive,
    "sandwich": Sandwich,
    "uniform": Uniform,
}
"""Name in ``train.scheme`` -> class made from a :class:`Setting` and its options by keyword."""

__all__ = ["SCHEMES", "Lessons", "NotTrainable", "Scheme", "Setting"]
