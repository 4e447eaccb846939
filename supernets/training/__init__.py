"""Training supernets: one loop, a scheme per file."""

from supernets.training.loop import TrainingDiverged, threads, train
from supernets.training.protocols import Batches, Checkpoints
from supernets.training.recipe import Recipe
from supernets.training.schemes import SCHEMES, NotTrainable, Scheme, Setting
from supernets.training.state import CheckpointRefused

__all__ = [
    "SCHEMES",
    "Batches",
    "CheckpointRefused",
    "Checkpoints",
    "NotTrainable",
    "Recipe",
    "Scheme",
    "Setting",
    "TrainingDiverged",
    "threads",
    "train",
]
