"""What may be chosen: choices, architectures, outlines, families and the zoo. Python and numpy only."""

from spaces.architecture import Architecture
from spaces.batch import Batch
from spaces.choice import Choice, Condition, Value
from spaces.load import from_text, load, zoo
from spaces.outline import INPUT, Chosen, Layer, Outline, Record
from spaces.precision import Precision, QuantSpec
from spaces.space import Space

__all__ = [
    "INPUT",
    "Architecture",
    "Batch",
    "Choice",
    "Chosen",
    "Condition",
    "Layer",
    "Outline",
    "Precision",
    "QuantSpec",
    "Record",
    "Space",
    "Value",
    "from_text",
    "load",
    "zoo",
]
