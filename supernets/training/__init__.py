"""Training supernets: one loop, a scheme per file."""

from supernets.training.loop import SCHEMES, Recipe, TrainingDiverged, threads, train
from supernets.training.protocols import Batches, Checkpoints

__all__ = ["SCHEMES", "Batches", "Checkpoints", "Recipe", "TrainingDiverged", "threads", "train"]
