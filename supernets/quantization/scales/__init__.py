"""Scale rules: from values to the step between levels. ``spaces.precision.methods`` says what each goes with."""

from __future__ import annotations

from collections.abc import Mapping

from supernets.quantization.scales.absmax import absmax, routed
from supernets.quantization.scales.adaptive import adaptive
from supernets.quantization.scales.base import SMALLEST, Grid, Rule, between
from supernets.quantization.scales.blocks import mx, mxceil, nv
from supernets.quantization.scales.learned import eqnet, lsq, lsqplus
from supernets.quantization.scales.lp import lp
from supernets.quantization.scales.minmax import minmax
from supernets.quantization.scales.percentile import percentile
from supernets.quantization.scales.statsq import statsq
from supernets.quantization.scales.ternary import fourthirds, mean, median

RULES: Mapping[str, Rule] = {
    "absmax": absmax,
    "adaptive": adaptive,
    "eqnet": eqnet,
    "fourthirds": fourthirds,
    "lp": lp,
    "lsq": lsq,
    "lsqplus": lsqplus,
    "mean": mean,
    "median": median,
    "minmax": minmax,
    "mx": mx,
    "mxceil": mxceil,
    "nv": nv,
    "percentile": percentile,
    "routed": routed,
    "statsq": statsq,
}

__all__ = ["RULES", "SMALLEST", "Grid", "Rule", "between"]
