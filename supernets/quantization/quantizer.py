"""Weights as codes, where nothing is learned but the weight itself; and biases in whole steps."""

from __future__ import annotations

import torch
from torch import Tensor

from spaces import QuantSpec
from supernets.quantization.elastic import ElasticQuantizer
from supernets.quantization.methods import methods

_PLAIN = ElasticQuantizer("weight").eval()


def weight_scale(weight: Tensor, spec: QuantSpec) -> Tensor:
    """Step per output channel (c_out,), or one, of the *active* slice ``weight`` (c_out, ...)."""
    return methods(spec, "weight").grid(weight)[0]


def weight_codes(weight: Tensor, spec: QuantSpec) -> tuple[Tensor, Tensor]:
    """(integer codes as floats, same shape as ``weight``; scale (c_out,)). The one definition of a weight's codes."""
    found = _PLAIN.codes(weight, spec)
    return found.codes, found.scale


def quantize_weight(weight: Tensor, spec: QuantSpec) -> Tensor:
    """``weight`` (c_out, ...) on its grid, with the gradient of the spec."""
    return _PLAIN(weight, spec)  # type: ignore[no-any-return]


def bias_steps(bias: Tensor, step: Tensor) -> Tensor:
    """``bias`` (c_out,) in whole steps (c_out,) of an integer kernel's sums: input scale x weight scale. float64."""
    return torch.round(bias.detach().double() / step.double())
