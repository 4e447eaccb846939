"""The distribution of weights: regularisers that make them easy to quantize.

Source: Xu et al. 2023 (EQ-Net), section 3.3: the kurtosis of each layer's weights is drawn to 1.8, that of a uniform
distribution, and their skewness to 0.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from supernets.build import Supernet

UNIFORM_KURTOSIS = 1.8
_LEAST_VARIANCE = 1e-12


def skewness(x: Tensor) -> Tensor:
    """Third standardised moment of all elements; 0 for a symmetric distribution."""
    return (_standardised(x) ** 3).mean()


def kurtosis(x: Tensor) -> Tensor:
    """Fourth standardised moment of all elements; 1.8 for a uniform distribution, 3 for a normal one."""
    return (_standardised(x) ** 4).mean()


def weight_distribution_loss(weights: Sequence[Tensor], of_kurtosis: float, of_skewness: float) -> Tensor:
    """``of_kurtosis`` times the mean squared distance of kurtosis to 1.8, plus the same of skewness to 0."""
    peaks = torch.stack([(kurtosis(w) - UNIFORM_KURTOSIS) ** 2 for w in weights]).mean()
    slopes = torch.stack([skewness(w) ** 2 for w in weights]).mean()
    return of_kurtosis * peaks + of_skewness * slopes


def regularised(net: Supernet) -> list[Tensor]:
    """The largest weights of all layers but the first; shared ones once."""
    found = [net.weighted(path).full for path in net.space.precisions]
    return list({id(weight): weight for weight in found}.values())[1:]


def _standardised(x: Tensor) -> Tensor:
    variance, mean = torch.var_mean(x, correction=0)
    return (x - mean) / variance.clamp_min(_LEAST_VARIANCE).sqrt()
