"""Precisions as data: how a layer's weight and its input are represented, by which names, and what is legal where."""

from spaces.precision.forms import FORMS, Format
from spaces.precision.mapping import ROLES, from_mapping
from spaces.precision.methods import GRADIENTS, GRANULARITIES, OFFSETS, ROUNDINGS, SCALES
from spaces.precision.names import ALIASES, LETTERS, name_of, spec_of, spec_of_words
from spaces.precision.pair import FLOAT, Precision, in_blocks, parse
from spaces.precision.refused import Refused, parted
from spaces.precision.roles import Place, menu, refusal
from spaces.precision.size import Size, packed, scale_count, shipped
from spaces.precision.spec import QuantSpec

__all__ = [
    "ALIASES",
    "FLOAT",
    "FORMS",
    "GRADIENTS",
    "GRANULARITIES",
    "LETTERS",
    "OFFSETS",
    "ROLES",
    "ROUNDINGS",
    "SCALES",
    "Format",
    "Place",
    "Precision",
    "QuantSpec",
    "Refused",
    "Size",
    "from_mapping",
    "in_blocks",
    "menu",
    "name_of",
    "packed",
    "parse",
    "parted",
    "refusal",
    "scale_count",
    "shipped",
    "spec_of",
    "spec_of_words",
]
