"""From float tensors to codes and back."""

from supernets.quantization.activations import (
    ACTIVATION,
    activation_grid,
    narrowed,
    positive,
    quantize_activation,
    quantize_dynamic,
    quantize_positive,
)
from supernets.quantization.elastic import Codes, Cut, ElasticQuantizer, decoded
from supernets.quantization.quantizer import bias_steps, quantize_weight, weight_codes, weight_scale
from supernets.quantization.straight import gradient_times, straight_through

__all__ = [
    "ACTIVATION",
    "Codes",
    "Cut",
    "ElasticQuantizer",
    "activation_grid",
    "bias_steps",
    "decoded",
    "gradient_times",
    "narrowed",
    "positive",
    "quantize_activation",
    "quantize_dynamic",
    "quantize_positive",
    "quantize_weight",
    "straight_through",
    "weight_codes",
    "weight_scale",
]
