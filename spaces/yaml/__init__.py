"""From the text of a ``space.yaml`` to checked values: typed nodes with places, and every problem at once."""

from spaces.yaml.errors import Mark, Problem, Problems, SpecError, nearest, shown
from spaces.yaml.reader import Mapping, Node, Scalar, Sequence, Value, nearest_file, plain, read_file, read_text
from spaces.yaml.section import Section, describe

__all__ = [
    "Mapping",
    "Mark",
    "Node",
    "Problem",
    "Problems",
    "Scalar",
    "Section",
    "Sequence",
    "SpecError",
    "Value",
    "describe",
    "nearest",
    "nearest_file",
    "plain",
    "read_file",
    "read_text",
    "shown",
]
