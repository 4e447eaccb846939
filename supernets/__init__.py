"""Networks that hold all choices: supernets, their training, extraction and export."""

from supernets import export
from supernets.build import NotBuildable, Supernet, build, check
from supernets.elastic import Mixture
from supernets.extract import extract
from supernets.mixture import begin_with
from supernets.plain import Grid, Network, Quantized, Simulated, fresh_network
from supernets.selection import Calibration
from supernets.training import (
    Batches,
    CheckpointRefused,
    Checkpoints,
    NotTrainable,
    Recipe,
    TrainingDiverged,
    threads,
    train,
)
from supernets.wrapping import NotWrappable, Wrapped, wrap

__all__ = [
    "Batches",
    "Calibration",
    "CheckpointRefused",
    "Checkpoints",
    "Grid",
    "Mixture",
    "Network",
    "NotBuildable",
    "NotTrainable",
    "NotWrappable",
    "Quantized",
    "Recipe",
    "Simulated",
    "Supernet",
    "TrainingDiverged",
    "Wrapped",
    "begin_with",
    "build",
    "check",
    "export",
    "extract",
    "fresh_network",
    "threads",
    "train",
    "wrap",
]
