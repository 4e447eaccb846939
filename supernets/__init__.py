"""Networks that hold all choices: supernets, their training, extraction and export."""

from supernets import export
from supernets.build import Calibration, Supernet, build
from supernets.extract import extract
from supernets.plain import Grid, Network, Quantized
from supernets.training import Batches, Checkpoints, Recipe, TrainingDiverged, threads, train

__all__ = [
    "Batches",
    "Calibration",
    "Checkpoints",
    "Grid",
    "Network",
    "Quantized",
    "Recipe",
    "Supernet",
    "TrainingDiverged",
    "build",
    "export",
    "extract",
    "threads",
    "train",
]
