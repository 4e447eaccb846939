"""From float tensors to integer codes and back."""

from supernets.quantization.quantizer import (
    ACTIVATION,
    bias_steps,
    quantize_activation,
    quantize_dynamic,
    quantize_weight,
    straight_through,
    weight_codes,
)
from supernets.quantization.scales import activation_grid, narrowed, weight_scale

__all__ = [
    "ACTIVATION",
    "activation_grid",
    "bias_steps",
    "narrowed",
    "quantize_activation",
    "quantize_dynamic",
    "quantize_weight",
    "straight_through",
    "weight_codes",
    "weight_scale",
]
