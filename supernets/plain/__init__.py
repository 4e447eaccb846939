"""Plain networks: torch's own layers and a few small blocks, run as the outline says."""

from supernets.plain.blocks import ClassToken, Position, TiedLinear
from supernets.plain.network import Network, fresh_network
from supernets.plain.quantized import Grid, Quantized
from supernets.plain.simulated import Simulated

__all__ = ["ClassToken", "Grid", "Network", "Position", "Quantized", "Simulated", "TiedLinear", "fresh_network"]
