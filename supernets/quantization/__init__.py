"""From float tensors to codes and back."""

from supernets.quantization.activations import (
    ACTIVATION,
    TOPS,
    activated,
    activation_grid,
    narrowed,
    quantize_activated,
    quantize_activation,
    quantize_dynamic,
)
from supernets.quantization.elastic import Codes, Cut, ElasticQuantizer, decoded
from supernets.quantization.granularity import features_last
from supernets.quantization.quantizer import bias_steps, quantize_weight, weight_codes, weight_scale
from supernets.quantization.straight import straight_through

__all__ = [
    "ACTIVATION",
    "TOPS",
    "Codes",
    "Cut",
    "ElasticQuantizer",
    "activated",
    "activation_grid",
    "bias_steps",
    "decoded",
    "features_last",
    "narrowed",
    "quantize_activated",
    "quantize_activation",
    "quantize_dynamic",
    "quantize_weight",
    "straight_through",
    "weight_codes",
    "weight_scale",
]
