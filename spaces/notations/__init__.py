"""Published notations of architectures, one file each: text to the values of a space and back."""

from __future__ import annotations

from spaces.notations.base import Notation, WrongNotation
from spaces.notations.cells import Darts, NasBench201
from spaces.notations.digits import Digits, Ofa
from spaces.notations.hat import Hat
from spaces.notations.spaceevo import SpaceEvo

NOTATIONS: dict[str, Notation] = {
    "darts": Darts(),
    "fbnet": Digits(),
    "hat": Hat(),
    "nas_bench_macro": Digits(),
    "nasbench201": NasBench201(),
    "ofa": Ofa(),
    "spaceevo": SpaceEvo(),
}

__all__ = ["NOTATIONS", "Notation", "WrongNotation"]
